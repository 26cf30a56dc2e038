package main

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// load is callers who ask one place again and again, as fast as it answers.
type load struct {
	place   place
	callers int
	fresh   bool // a new connection for each request
	length  time.Duration
}

// sample is what a load saw.
type sample struct {
	took    []time.Duration // each request, in any order
	elapsed time.Duration
}

// run lasts for l.length and until the answers under way have come. Anything
// but success after success is an error.
func (l load) run() (sample, error) {
	callers := make([]*caller, l.callers)
	for i := range callers {
		callers[i] = newCaller(l.place, l.length+askLimit)
		defer callers[i].close()
		if err := l.one(callers[i]); err != nil { // connections stand and caches are warm when the clock starts
			return sample{}, err
		}
	}
	took := make([][]time.Duration, l.callers)
	failed := make([]error, l.callers)
	var all sync.WaitGroup
	start := time.Now()
	for i, c := range callers {
		all.Go(func() { took[i], failed[i] = l.repeat(c, start) })
	}
	all.Wait()
	return sample{slices.Concat(took...), time.Since(start)}, errors.Join(failed...)
}

func (l load) repeat(c *caller, start time.Time) (took []time.Duration, err error) {
	took = make([]time.Duration, 0, 1<<12)
	for at := start; at.Sub(start) < l.length; {
		if err := l.one(c); err != nil {
			return nil, err
		}
		now := time.Now()
		took = append(took, now.Sub(at))
		at = now
	}
	return took, nil
}

// one is a request and its answer; with a fresh connection, also opening and
// closing it.
func (l load) one(c *caller) error {
	a, err := c.ask()
	if err != nil {
		return err
	}
	if l.fresh {
		c.close()
	}
	return a.failure()
}
