package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"keytender/agent/orchestratortest"
)

// startup is how long the first token after a start took.
type startup struct {
	took     time.Duration // from before the process was started to the whole answer
	provider time.Duration // of it, what the provider needs by itself
}

func (s startup) own() time.Duration { return s.took - s.provider }

// starts starts the paired agent in each round, asks as soon as it listens, and
// stops it. The result is the median round.
func (p plan) starts(ctx context.Context, a *agent, provider *orchestratortest.Server, robot orchestratortest.Client) (startup, error) {
	grant, err := grantTime(provider, robot)
	if err != nil {
		return startup{}, err
	}
	var all []startup
	for range p.rounds {
		before := provider.Requests("")
		took, err := a.firstToken(ctx)
		if err != nil {
			return startup{}, err
		}
		asked := provider.Requests("") - before
		all = append(all, startup{took, time.Duration(asked) * grant})
	}
	return median(all, startup.own), nil
}

// firstToken times one start, and stops the agent.
func (a *agent) firstToken(ctx context.Context) (took time.Duration, err error) {
	start := time.Now()
	if err := a.launch(ctx); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, a.stop()) }()
	door, err := a.reach(ctx)
	if err != nil {
		return 0, err
	}
	_, err = askOn(door, tokenAt("unix", a.socket()))
	return time.Since(start), err
}

// grantTime is what the provider needs for one request by itself: the median of
// grants to a caller who does nothing else and keeps the connection. The agent,
// which opens a new one, gets that on its own account.
func grantTime(provider *orchestratortest.Server, robot orchestratortest.Client) (time.Duration, error) {
	host := strings.TrimPrefix(provider.Origin, "http://")
	path := strings.TrimPrefix(provider.Identity, provider.Origin) + "/connect/token"
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {robot.ID}, "client_secret": {robot.Secret}}.Encode()
	request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		path, host, len(form), form)
	grants := load{place: place{"tcp", host, []byte(request)}, callers: 1, length: 200 * time.Millisecond}
	seen, err := grants.run()
	if err != nil {
		return 0, fmt.Errorf("ask the provider directly: %w", err)
	}
	return median(seen.took, func(d time.Duration) time.Duration { return d }), nil
}
