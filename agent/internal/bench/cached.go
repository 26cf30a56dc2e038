package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"keytender/agent/orchestratortest"
)

// cachedTurns are how many each store has in a round: many short ones, so that
// two that are compared lie a few milliseconds apart.
const cachedTurns = 200

// compareCached has the agents of all stores run side by side, and one caller
// ask each in turn for the token that is in its memory.
func (p plan) compareCached(ctx context.Context, stores []*store, provider *orchestratortest.Server) (err error) {
	for _, s := range stores {
		if err := s.agent.start(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		defer func() { err = errors.Join(err, s.agent.stop()) }()
		if _, err := askOnce(s.place()); err != nil {
			return fmt.Errorf("%s: ask the agent for a token: %w", s.name, err)
		}
	}
	before := provider.Requests("")
	const warm = cachedTurns / 5
	for turn := range warm + p.rounds*cachedTurns {
		for k := range stores {
			s := stores[(turn+k)%len(stores)] // who was second comes first
			if err := context.Cause(ctx); err != nil {
				return err
			}
			seen, err := load{place: s.place(), callers: 1, length: p.length / cachedTurns}.run()
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if turn >= warm {
				s.cached = append(s.cached, median(seen.took, func(d time.Duration) time.Duration { return d }))
			}
		}
	}
	if provider.Requests("") != before {
		return errors.New("a token that should have been in memory was asked for at the provider")
	}
	return nil
}

func (s *store) place() place { return tokenAt("unix", s.agent.socket()) }

// likeness is how the latency of cached tokens with one store is to that with
// another: the median of all turns, and of the turns of a round at its lowest
// and highest.
type likeness struct {
	value, lowest, highest float64
}

// like compares turn by turn: what else the machine did then met both.
func (s *store) like(base *store) likeness {
	self := func(v float64) float64 { return v }
	var all, rounds []float64
	for i, took := range s.cached {
		all = append(all, float64(took)/float64(base.cached[i]))
	}
	for turns := range slices.Chunk(all, cachedTurns) {
		rounds = append(rounds, median(turns, self))
	}
	return likeness{median(all, self), slices.Min(rounds), slices.Max(rounds)}
}
