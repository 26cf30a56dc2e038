package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"keytender/agent/orchestratortest"
	"keytender/installer/testbed"
)

// plan is what to measure, and for how long.
type plan struct {
	keytender string        // path of the program
	rounds    int           // of everything that is told as a median
	length    time.Duration // of one cell
	settle    time.Duration // between the first token and the look at idle memory
	crowd     int           // callers at an empty cache
}

// run measures everything. Each error means that there are no figures, never
// that they are bad ones.
func (p plan) run(ctx context.Context) (_ report, err error) {
	if _, err := testbed.HashiCorpVault().Find(); err != nil {
		return report{}, err // before minutes of measuring
	}
	provider := orchestratortest.New(orchestratortest.Options{})
	defer provider.Close()
	dir, err := os.MkdirTemp("", "keytender-bench-")
	if err != nil {
		return report{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	r := report{plan: p}
	if r.binary, err = sizeOf(p.keytender); err != nil {
		return r, err
	}
	a, err := newAgent(ctx, p.keytender, filepath.Join(dir, "agent"), "")
	if err != nil {
		return r, err
	}
	robot := provider.AddMachine("", "")
	if err := a.pair(ctx, provider.Orchestrator, robot); err != nil {
		return r, fmt.Errorf("pair the agent: %w", err)
	}
	if r.start, err = p.starts(ctx, a, provider, robot); err != nil {
		return r, fmt.Errorf("time the start: %w", err)
	}
	if r.trust, err = timeToTrust(); err != nil {
		return r, fmt.Errorf("read the system's certificates: %w", err)
	}
	if r.stores, err = p.compareStores(ctx, filepath.Join(dir, "stores"), provider, robot); err != nil {
		return r, fmt.Errorf("compare the stores: %w", err)
	}
	if err := p.load(ctx, a, dir, &r); err != nil {
		return r, err
	}
	if r.crowd, err = p.gather(ctx, a, provider); err != nil {
		return r, fmt.Errorf("send %d callers to an empty cache: %w", p.crowd, err)
	}
	return r, nil
}

// load starts the agent and the bare server and measures one beside the other.
func (p plan) load(ctx context.Context, a *agent, dir string, r *report) (err error) {
	if err := a.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.stop()) }()
	places, err := a.places(ctx)
	if err != nil {
		return err
	}
	first, err := askOnce(places[0])
	if err != nil {
		return fmt.Errorf("ask the agent for a token: %w", err)
	}
	if err := wait(ctx, p.settle); err != nil {
		return err
	}
	if r.idle, err = a.process.memory("VmRSS"); err != nil {
		return err
	}
	if r.proof, err = a.prove(ctx, places); err != nil {
		return fmt.Errorf("see that everything is on: %w", err)
	}
	b, err := startBare(ctx, filepath.Join(dir, "bare.sock"), first)
	if err != nil {
		return fmt.Errorf("start the bare server: %w", err)
	}
	defer func() { err = errors.Join(err, b.process.stop()) }()
	if r.cells, err = p.compare(ctx, side{b.process, b.places}, side{a.process, places}); err != nil {
		return err
	}
	if r.loaded, err = a.process.memory("VmRSS"); err != nil {
		return err
	}
	return r.proof.complete(ctx, a, r.cells)
}

func sizeOf(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf(`find the program: %w: run "make build" first`, err)
	}
	return info.Size(), nil
}

// wait is a sleep that ends with ctx.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
