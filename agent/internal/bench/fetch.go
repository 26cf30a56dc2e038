package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"keytender/agent/orchestratortest"
	"keytender/installer/testbed"
	"keytender/vault"
)

// fetch is a token that was not in memory, nor was its secret: how long it took,
// and how long provider and store take by themselves for what they did for it.
type fetch struct {
	whole, provider, store time.Duration
	questions              int // that the store's server was asked, each on a connection of its own
}

// agent is what is left of the time: the agent's own.
func (f fetch) agent() time.Duration { return f.whole - f.provider - f.store }

// medianOf is of each of the times by itself, but for the agent's.
func medianOf(all []fetch) fetch {
	each := func(of func(fetch) time.Duration) time.Duration { return of(median(all, of)) }
	return fetch{
		whole:     each(func(f fetch) time.Duration { return f.whole }),
		provider:  each(func(f fetch) time.Duration { return f.provider }),
		store:     each(func(f fetch) time.Duration { return f.store }),
		questions: median(all, func(f fetch) int { return f.questions }).questions,
	}
}

// timeToTrust is what reading the system's certificates takes. A process does
// that once, before its first connection over TLS, so only the first call tells.
func timeToTrust() (time.Duration, error) {
	start := time.Now()
	_, err := x509.SystemCertPool()
	return time.Since(start), err
}

// laterFetches are those of each round by an agent that is logged in.
const laterFetches = 5

// compareStores measures tokens from each store. What the agents wrote is gone
// afterwards, before the disk has to take it, and nothing has been written
// before that their starts would have to wait for.
func (p plan) compareStores(ctx context.Context, dir string, provider *orchestratortest.Server, robot orchestratortest.Client) (stores []*store, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	err = onStage(ctx, dir, func(t testbed.Test) error {
		stores = newStores(t, robot)
		for _, s := range stores {
			if err := s.prepare(ctx, p.keytender, dir, provider, robot); err != nil {
				return fmt.Errorf("%s: prepare an agent: %w", s.name, err)
			}
		}
		grant, err := grantTime(provider, robot)
		if err != nil {
			return err
		}
		for round := range p.rounds {
			for k := range stores {
				s := stores[(round+k)%len(stores)]
				if err := s.fetches(ctx, provider, grant); err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
			}
		}
		return p.compareCached(ctx, stores, provider)
	})
	return stores, err
}

// fetches starts the store's agent, has it fetch one token with nothing in
// memory and some more when it is logged in, and stops it. Before each the store
// is read without an agent.
func (s *store) fetches(ctx context.Context, provider *orchestratortest.Server, grant time.Duration) (err error) {
	own, err := vault.Open(s.config, s.own)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.Close()) }()
	first, err := s.readAlone(ctx, own)
	if err != nil {
		return err
	}
	if err := s.agent.launch(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.agent.stop()) }()
	err = s.fetch(&first, provider, grant, func() (time.Duration, error) {
		// It listens before it serves, so it asks its store nothing before this.
		door, err := s.agent.reach(ctx)
		if err != nil {
			return 0, err
		}
		return clocked(func() error { return second(askOn(door, s.place())) })
	})
	if err != nil {
		return err
	}
	s.first = append(s.first, first)
	return s.fetchLater(ctx, own, provider, grant)
}

// fetchLater is the part of fetches for an agent that is logged in. One fetch
// more comes first and does not count: the agent may still look by itself
// whether its store is well.
func (s *store) fetchLater(ctx context.Context, own vault.Store, provider *orchestratortest.Server, grant time.Duration) error {
	admin := s.agent.admin()
	defer admin.Close()
	for n := range 1 + laterFetches {
		if err := errors.Join(admin.Retry(ctx, profile), wait(ctx, 2*refresh)); err != nil {
			return fmt.Errorf("have the agent forget the token: %w", err)
		}
		later, err := s.readAlone(ctx, own)
		if err != nil {
			return err
		}
		err = s.fetch(&later, provider, grant, func() (time.Duration, error) {
			return clocked(func() error { return second(askOnce(s.place())) })
		})
		if err != nil {
			return err
		}
		if n > 0 {
			s.later = append(s.later, later)
		}
	}
	return nil
}

// readAlone is a fetch of which only the store's part is known yet.
func (s *store) readAlone(ctx context.Context, own vault.Store) (f fetch, err error) {
	f.store, f.questions, err = s.counted(func() (time.Duration, error) {
		return clocked(func() error { return second(own.Get(ctx, profile)) })
	})
	if err != nil {
		return f, fmt.Errorf("read the store directly: %w", err)
	}
	return f, nil
}

// fetch has the agent fetch a token, by asking for it, and completes f.
func (s *store) fetch(f *fetch, provider *orchestratortest.Server, grant time.Duration, ask func() (time.Duration, error)) (err error) {
	before := provider.Requests("")
	if f.whole, _, err = s.counted(ask); err != nil {
		return fmt.Errorf("ask the agent for a token: %w", err)
	}
	asked := provider.Requests("") - before
	if asked == 0 {
		return errors.New("the agent had the token in memory")
	}
	f.provider = time.Duration(asked) * grant
	return nil
}

// counted is the time that do tells, and how many questions to the store's server
// there were meanwhile. There must be one, where there is a server.
func (s *store) counted(do func() (time.Duration, error)) (took time.Duration, questions int, err error) {
	before := s.requests()
	took, err = do()
	questions = s.requests() - before
	if err == nil && s.asked != nil && questions == 0 {
		err = errors.New("the store was not asked: the secret was in memory")
	}
	return took, questions, err
}

func (s *store) requests() int {
	if s.asked == nil {
		return 0
	}
	return s.asked()
}

// clocked is how long do takes.
func clocked(do func() error) (time.Duration, error) {
	start := time.Now()
	err := do()
	return time.Since(start), err
}

func second[T any](_ T, err error) error { return err }
