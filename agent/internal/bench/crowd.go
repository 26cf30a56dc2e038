package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"keytender/agent/orchestratortest"
)

const (
	// crowdConnections are shared by all callers: about as many as the door
	// keeps open at once (1,024), less some room for others.
	crowdConnections = 1000
	// crowdPatience is how long the provider waits for the callers: less than
	// the agent waits for the provider.
	crowdPatience = 20 * time.Second
	crowdLimit    = time.Minute
)

// crowd is what came of many callers at once at an empty cache.
type crowd struct {
	callers   int
	requests  int   // to the provider's token endpoint
	slowDowns int64 // times that a caller was told to come back later
	lost      int64 // connections that the agent closed
	took      time.Duration
	peak      int64 // resident memory of the agent at its highest, in bytes
}

// gather starts the agent, whose cache is empty then, and lets p.crowd callers
// ask. The provider holds its answer back until every one of them has asked.
// Who is told to slow down comes back when he was told to; in the end all must
// have got the same token.
func (p plan) gather(ctx context.Context, a *agent, provider *orchestratortest.Server) (_ crowd, err error) {
	if err := a.start(ctx); err != nil {
		return crowd{}, err
	}
	defer func() { err = errors.Join(err, a.stop()) }()
	ctx, cancel := context.WithTimeoutCause(ctx, crowdLimit, errors.New("not everybody got a token in time"))
	defer cancel()

	s := newStampede(p.crowd, tokenAt("unix", a.socket()))
	defer s.close()
	var impatient atomic.Bool
	provider.Fault("/connect/token", orchestratortest.Fault{Edit: func(map[string]any) {
		select {
		case <-s.everyone:
		case <-ctx.Done():
		case <-time.After(crowdPatience):
			impatient.Store(true)
		}
	}})
	defer provider.Heal()
	before, start := provider.TokenRequests(), time.Now()
	if err := s.run(ctx); err != nil {
		return crowd{}, err
	}
	if impatient.Load() {
		return crowd{}, fmt.Errorf("not everybody had asked after %v", crowdPatience)
	}
	result := crowd{
		callers: p.crowd, requests: provider.TokenRequests() - before, took: time.Since(start),
		slowDowns: s.slowDowns.Load(), lost: s.lost.Load(),
	}
	result.peak, err = a.process.memory("VmHWM")
	return result, err
}
