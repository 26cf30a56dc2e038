package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// side is one of the two servers, with its unix and its tcp place.
type side struct {
	process *process
	places  []place
}

// figures are what one side did in a cell of one round.
type figures struct {
	requests int
	p50, p99 time.Duration
	rate     float64       // requests per second
	cpu      time.Duration // of the server, per request
}

// cell is one way to ask, on both sides.
type cell struct {
	door    string // unix, tcp
	place   int    // of the side's places
	fresh   bool   // a new connection for each request
	callers int
	bare    []figures // by round
	agent   []figures
}

func (c cell) String() string {
	connections := "kept-alive"
	if c.fresh {
		connections = "new"
	}
	return fmt.Sprintf(cellForm, c.door, connections, strconv.Itoa(c.callers))
}

// cellForm has the same width for every cell: door, connections, callers.
const cellForm = "%-4s  %-11s  %7s"

func newCells() []cell {
	var all []cell
	for place, door := range []string{"unix", "tcp"} {
		for _, fresh := range []bool{false, true} {
			for _, callers := range []int{1, 32} {
				all = append(all, cell{door: door, place: place, fresh: fresh, callers: callers})
			}
		}
	}
	return all
}

// compare measures each cell on both sides in each round. A short round comes
// first and does not count.
func (p plan) compare(ctx context.Context, bare, agent side) ([]cell, error) {
	if err := round(ctx, newCells(), bare, agent, min(p.length, 200*time.Millisecond)); err != nil {
		return nil, err
	}
	cells := newCells()
	for range p.rounds {
		if err := round(ctx, cells, bare, agent, p.length); err != nil {
			return nil, err
		}
	}
	return cells, nil
}

// turns is how often the sides take turns in a cell of a round: what else the
// machine does comes and goes, and is to meet both alike.
const turns = 6

// round adds one round to the cells.
func round(ctx context.Context, cells []cell, bare, agent side, length time.Duration) error {
	for i := range cells {
		c := &cells[i]
		sides := []struct {
			name string
			side
			seen tally
			to   *[]figures
		}{
			{name: "bare server", side: bare, to: &c.bare},
			{name: "agent", side: agent, to: &c.agent},
		}
		for turn := range turns {
			for k := range sides {
				s := &sides[(turn+k)%len(sides)] // who was second comes first
				if err := context.Cause(ctx); err != nil {
					return err
				}
				if err := s.seen.add(s.side, *c, length/turns); err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, c, err)
				}
			}
		}
		for _, s := range sides {
			*s.to = append(*s.to, s.seen.figures())
		}
	}
	return nil
}

// tally adds up what one side does in its turns.
type tally struct {
	sample
	cpu time.Duration
}

func (t *tally) add(s side, c cell, length time.Duration) error {
	before, err := s.process.cpu()
	if err != nil {
		return err
	}
	seen, err := load{place: s.places[c.place], callers: c.callers, fresh: c.fresh, length: length}.run()
	if err != nil {
		return err
	}
	after, err := s.process.cpu()
	t.took = append(t.took, seen.took...)
	t.elapsed += seen.elapsed
	t.cpu += after - before
	return err
}

func (t *tally) figures() figures {
	slices.Sort(t.took)
	n := len(t.took)
	return figures{
		requests: n,
		p50:      t.took[n/2],
		p99:      t.took[n*99/100],
		rate:     float64(n) / t.elapsed.Seconds(),
		cpu:      t.cpu / time.Duration(n),
	}
}

// median is the element in the middle of the order of by; of an even number the
// lower of the two.
func median[T any, V cmp.Ordered](all []T, by func(T) V) T {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b T) int { return cmp.Compare(by(a), by(b)) })
	return sorted[(len(sorted)-1)/2]
}

// ratio is agent to bare server: of the medians, and at its lowest and highest
// in a single round.
type ratio struct {
	bare, agent     float64 // medians
	lowest, highest float64
}

func (r ratio) value() float64 { return r.agent / r.bare }

func (c cell) ratio(of func(figures) float64) ratio {
	self := func(v float64) float64 { return v }
	var bare, agent, each []float64
	for i := range c.bare {
		bare, agent = append(bare, of(c.bare[i])), append(agent, of(c.agent[i]))
		each = append(each, agent[i]/bare[i])
	}
	return ratio{median(bare, self), median(agent, self), slices.Min(each), slices.Max(each)}
}
