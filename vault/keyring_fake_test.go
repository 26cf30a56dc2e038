package vault

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
)

// drawer stands for go-keyring where a test needs it to hang, fail or panic;
// what the real one does is tested in keyring_linux_test.go.
type drawer struct {
	mu      sync.Mutex
	entries map[string]string
	calls   atomic.Int32
	changes atomic.Int32
	before  func(call string) error // runs first, without the lock
}

func (d *drawer) begin(call string) error {
	d.calls.Add(1)
	if call != "get" {
		d.changes.Add(1)
	}
	if d.before != nil {
		return d.before(call)
	}
	return nil
}

func (d *drawer) get(_, name string) (string, error) {
	if err := d.begin("get"); err != nil {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	value, ok := d.entries[name]
	if !ok {
		return "", ErrNotFound
	}
	return value, nil
}

func (d *drawer) set(_, name, value string) error {
	if err := d.begin("set"); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries[name] = value
	return nil
}

func (d *drawer) remove(_, name string) error {
	if err := d.begin("remove"); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.entries, name)
	return nil
}

// screen stands for the desktop.
type screen struct {
	state   atomic.Pointer[Error] // nil: unlocked
	unlocks atomic.Int32
	hang    bool
	answer  chan struct{} // closed: a person has unlocked
}

func (s *screen) check(ctx context.Context) error {
	if s.hang {
		<-ctx.Done()
		return &Error{Kind: ErrUnavailable, Why: "hangs", Err: ctx.Err()}
	}
	if e := s.state.Load(); e != nil {
		return e
	}
	return nil
}

func (s *screen) unlock(ctx context.Context) error {
	s.unlocks.Add(1)
	select {
	case <-s.answer:
		s.state.Store(nil)
		return nil
	case <-ctx.Done():
		return &Error{Kind: ErrLocked, Err: ctx.Err()}
	}
}

func fakeKeyring(t *testing.T) (*keyring, *drawer, *screen) {
	t.Helper()
	k := mustOpen(t, Config{URL: "keyring:"}, Options{Dir: t.TempDir()}).(*keyring)
	d, s := &drawer{entries: map[string]string{}}, &screen{answer: make(chan struct{})}
	k.system, k.desktop, k.limit = d, s, 100
	return k, d, s
}
