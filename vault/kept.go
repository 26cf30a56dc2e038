package vault

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"
)

// kept keeps what a store on the network answered, for as long as the entry's
// lease and the store's refresh allow, and has callers who ask for one entry at
// the same time share one question. What another secret took the place of is
// kept for the rest of its own time: a secret that is being rotated may be valid
// where the new one is not yet.
type kept struct {
	asked
	timeout time.Duration // of a question that nobody may be waiting for any more
	refresh time.Duration
	now     func() time.Time
	check   func(name string) error

	mu      sync.Mutex
	flights map[string]*question // those that a new caller may join
	entries map[string]*keptEntry
	before  map[string]*keptEntry            // by name, what entries held before
	running map[*question]context.CancelFunc // those that Close cuts off
	owned   sync.WaitGroup                   // what is under way
	closed  bool
}

type keptEntry struct {
	entry Entry
	until time.Time
	stale bool        // Forget was called: only good for being the one before
	end   *time.Timer // takes it out of memory, also when nobody asks again
}

func (e *keptEntry) valid(now time.Time) bool { return e != nil && now.Before(e.until) }

// question is one Get that several callers wait for.
type question struct {
	done  chan struct{} // closed when entry and err are there
	entry Entry
	err   error
}

func newKept(store asked, c Config, o Options) *kept {
	return &kept{
		asked: store, timeout: cmp.Or(c.Timeout, defaultTimeout), refresh: cmp.Or(c.Refresh, defaultRefresh), now: o.Now, check: c.CheckName,
		flights: map[string]*question{}, entries: map[string]*keptEntry{}, before: map[string]*keptEntry{}, running: map[*question]context.CancelFunc{},
	}
}

func (k *kept) Get(ctx context.Context, name string) (Entry, error) {
	if err := k.check(name); err != nil {
		return Entry{}, err
	}
	if err := ctx.Err(); err != nil {
		return Entry{}, err
	}
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return Entry{}, k.ended("read " + name)
	}
	if held := k.entries[name]; held.valid(k.now()) && !held.stale {
		k.mu.Unlock()
		return held.entry, nil
	}
	q := k.flights[name]
	if q == nil {
		q = k.ask(ctx, name)
	}
	k.mu.Unlock()
	select {
	case <-q.done:
		return q.entry, q.err
	case <-ctx.Done():
		return Entry{}, fmt.Errorf("%s: read %s: %w", k, name, ctx.Err())
	}
}

// ask starts a question. The mu is held. A caller who goes away does not take
// the answer from the others.
func (k *kept) ask(ctx context.Context, name string) *question {
	q := &question{done: make(chan struct{})}
	k.flights[name] = q
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.timeout)
	k.running[q] = cancel
	k.owned.Go(func() {
		defer cancel()
		q.entry, q.err = k.asked.Get(ctx, name)
		k.mu.Lock()
		delete(k.running, q)
		if k.closed && q.err != nil {
			q.err = k.ended("read " + name)
		}
		if k.flights[name] == q { // else Forget overtook it: what it brings is old
			delete(k.flights, name)
			if q.err == nil {
				k.keep(name, q.entry)
			}
		}
		k.mu.Unlock()
		close(q.done)
	})
	return q
}

// keep remembers an entry. The mu is held.
func (k *kept) keep(name string, e Entry) {
	if old := k.entries[name]; old.valid(k.now()) && !old.entry.Secret.Equal(e.Secret) {
		k.drop(k.before, name)
		k.before[name] = old
	} else {
		k.drop(k.entries, name)
	}
	delete(k.entries, name)
	if before := k.before[name]; before != nil && before.entry.Secret.Equal(e.Secret) {
		k.drop(k.before, name)
	}
	life := k.refresh
	if e.Lease > 0 {
		life = min(life, e.Lease)
	}
	if k.closed {
		return
	}
	held := &keptEntry{entry: e, until: k.now().Add(life)}
	held.end = time.AfterFunc(life, func() { k.expire(name, held) })
	k.entries[name] = held
}

func (k *kept) expire(name string, held *keptEntry) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, where := range []map[string]*keptEntry{k.entries, k.before} {
		if where[name] == held {
			delete(where, name)
		}
	}
}

// drop takes an entry out of memory. The mu is held.
func (k *kept) drop(from map[string]*keptEntry, name string) {
	if held := from[name]; held != nil {
		held.end.Stop()
		delete(from, name)
	}
}

func (k *kept) Forget(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if held := k.entries[name]; held != nil {
		held.stale = true
	}
	delete(k.flights, name)
}

func (k *kept) Previous(name string) (Entry, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if held := k.before[name]; held.valid(k.now()) {
		return held.entry, true
	}
	return Entry{}, false
}

func (k *kept) Put(ctx context.Context, name string, e Entry) error {
	if err := k.check(name); err != nil {
		return err
	}
	if err := checkSecret(name, e.Secret); err != nil {
		return err
	}
	defer k.Forget(name) // whatever came of it
	return k.within(ctx, "store "+name, func(ctx context.Context) error { return k.asked.Put(ctx, name, e) })
}

func (k *kept) Delete(ctx context.Context, name string) error {
	if err := k.check(name); err != nil {
		return err
	}
	defer k.Forget(name)
	return k.within(ctx, "delete "+name, func(ctx context.Context) error { return k.asked.Delete(ctx, name) })
}

// Check changes nothing, so Close need not wait for it.
func (k *kept) Check(ctx context.Context) error {
	return k.within(ctx, "check", func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		q := new(question)
		k.mu.Lock()
		k.running[q] = cancel
		if k.closed {
			cancel()
		}
		k.mu.Unlock()
		err := k.asked.Check(ctx)
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.running, q)
		if k.closed && err != nil {
			return k.ended("check")
		}
		return err
	})
}

// within has what was begun end before the store is closed: a change that is cut
// off may have been made or not.
func (k *kept) within(ctx context.Context, op string, do func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return k.ended(op)
	}
	k.owned.Add(1)
	k.mu.Unlock()
	defer k.owned.Done()
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	return do(ctx)
}

// ended is the error for what comes after Close.
func (k *kept) ended(op string) error { return &Error{Store: k.String(), Op: op, Kind: ErrClosed} }

func (k *kept) Close() error {
	k.mu.Lock()
	k.closed = true
	for _, where := range []map[string]*keptEntry{k.entries, k.before} {
		for name := range where {
			k.drop(where, name)
		}
	}
	for _, cancel := range k.running {
		cancel()
	}
	k.mu.Unlock()
	k.owned.Wait()
	return k.asked.Close()
}
