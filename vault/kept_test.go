package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// scripted is a store on the network whose answers the test gives.
type scripted struct {
	get   func(ctx context.Context) (Entry, error)
	put   func(ctx context.Context) error
	check func(ctx context.Context) error
	asked atomic.Int32
}

func (s *scripted) Get(ctx context.Context, _ string) (Entry, error) {
	s.asked.Add(1)
	return s.get(ctx)
}

func (s *scripted) Put(ctx context.Context, _ string, _ Entry) error {
	s.asked.Add(1)
	if s.put == nil {
		return nil
	}
	return s.put(ctx)
}

func (s *scripted) Check(ctx context.Context) error {
	if s.check == nil {
		return nil
	}
	return s.check(ctx)
}

func (*scripted) Delete(context.Context, string) error { return nil }
func (*scripted) Close() error                         { return nil }
func (*scripted) String() string                       { return "scripted://" }

// giving answers with the secret that is in it.
func giving(e *Entry) *scripted {
	return &scripted{get: func(context.Context) (Entry, error) { return *e, nil }}
}

func keepingFor(refresh time.Duration, s *scripted) *kept {
	c := Config{URL: "conjur://host/a", Refresh: refresh, Timeout: 10 * time.Second}
	return newKept(s, c, Options{}.filled())
}

func TestKeptNoLongerThanRefreshOrLease(t *testing.T) {
	for name, c := range map[string]struct{ refresh, lease, life time.Duration }{
		"refresh":       {time.Minute, 0, time.Minute},
		"shorter lease": {time.Minute, 20 * time.Second, 20 * time.Second},
		"longer lease":  {time.Minute, time.Hour, time.Minute},
		"default":       {0, 0, defaultRefresh},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := giving(&Entry{Secret: NewSecret(canary), Lease: c.lease})
				k := keepingFor(c.refresh, s)
				defer k.Close()
				get(t, k, "a")
				time.Sleep(c.life - time.Second)
				get(t, k, "a")
				if n := s.asked.Load(); n != 1 {
					t.Fatalf("asked %d times while it may be kept", n)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if n := len(k.entries); n != 0 {
					t.Fatalf("%d entries are in memory after their time, with nobody asking", n)
				}
				get(t, k, "a")
				if n := s.asked.Load(); n != 2 {
					t.Fatalf("asked %d times after its time", n)
				}
			})
		})
	}
}

func TestPreviousSecretIsKeptForItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := Entry{Secret: NewSecret("old")}
		k := keepingFor(time.Minute, giving(&now))
		defer k.Close()
		get(t, k, "a")
		k.Forget("a")
		get(t, k, "a")
		if _, ok := k.Previous("a"); ok {
			t.Error("the same secret is its own predecessor")
		}
		now.Secret = NewSecret("new")
		time.Sleep(20 * time.Second)
		k.Forget("a")
		if e := get(t, k, "a"); e.Secret.Reveal() != "new" {
			t.Fatal("what was forgotten is still given out")
		}
		if before, ok := k.Previous("a"); !ok || before.Secret.Reveal() != "old" {
			t.Fatalf("the one before: %v", ok)
		}
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if _, ok := k.Previous("a"); ok || len(k.before) != 0 {
			t.Error("the one before outlives its time")
		}
		now.Secret = NewSecret("old") // changed back
		k.Forget("a")
		get(t, k, "a")
		if before, ok := k.Previous("a"); !ok || before.Secret.Reveal() != "new" {
			t.Errorf("after the change back: %v", ok)
		}
	})
}

// TestForgottenWhileAsked: an answer that was on its way when Forget was called
// may be old, so it is neither kept nor given to those who ask afterwards.
func TestForgottenWhileAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := make(chan struct{})
		s := &scripted{}
		s.get = func(context.Context) (Entry, error) {
			if s.asked.Load() == 1 {
				<-first
				return Entry{Secret: NewSecret("old")}, nil
			}
			return Entry{Secret: NewSecret("new")}, nil
		}
		k := keepingFor(time.Minute, s)
		defer k.Close()
		early := make(chan Entry, 1)
		go func() { early <- get(t, k, "a") }()
		synctest.Wait()
		k.Forget("a")
		if e := get(t, k, "a"); e.Secret.Reveal() != "new" {
			t.Error("who asks after Forget gets an answer from before it")
		}
		close(first)
		if e := <-early; e.Secret.Reveal() != "old" {
			t.Error("who asked before is not answered")
		}
		if e := get(t, k, "a"); e.Secret.Reveal() != "new" || s.asked.Load() != 2 {
			t.Errorf("kept: %d questions", s.asked.Load())
		}
	})
}

func TestErrorsAreNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := true
		s := &scripted{get: func(context.Context) (Entry, error) {
			if broken {
				return Entry{}, &Error{Kind: ErrSealed}
			}
			return Entry{Secret: NewSecret("x")}, nil
		}}
		k := keepingFor(time.Minute, s)
		defer k.Close()
		if _, err := k.Get(t.Context(), "a"); !errors.Is(err, ErrSealed) {
			t.Fatal(err)
		}
		broken = false
		get(t, k, "a")
	})
}

// TestCloseEndsAChecking: a reload that corrects the address of a vault that does not
// answer must not wait for it.
func TestCloseEndsAChecking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{check: func(ctx context.Context) error {
			<-ctx.Done()
			return fmt.Errorf("given up: %w", ctx.Err())
		}}
		k := keepingFor(time.Minute, s)
		checked := make(chan error, 1)
		go func() { checked <- k.Check(t.Context()) }()
		synctest.Wait()
		began := time.Now()
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		if err := <-checked; !errors.Is(err, ErrClosed) {
			t.Errorf("who checked gets %v", err)
		}
		if took := time.Since(began); took != 0 || len(k.running) != 0 {
			t.Errorf("closing took %s, %d questions", took, len(k.running))
		}
	})
}

// TestCloseEndsQuestions: nobody waits for a vault that does not answer when
// the store is closed, and nothing stays in memory.
func TestCloseEndsQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{get: func(ctx context.Context) (Entry, error) {
			<-ctx.Done()
			return Entry{}, fmt.Errorf("given up: %w", ctx.Err())
		}}
		k := keepingFor(time.Minute, s)
		waiting := make(chan error, 1)
		go func() {
			_, err := k.Get(t.Context(), "a")
			waiting <- err
		}()
		synctest.Wait()
		began := time.Now()
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		if err := <-waiting; !errors.Is(err, ErrClosed) {
			t.Errorf("who waited gets %v", err)
		}
		if took := time.Since(began); took != 0 || len(k.entries)+len(k.before)+len(k.running) != 0 {
			t.Errorf("closing took %s, %d questions", took, len(k.running))
		}
	})
}

// TestClosedStoreAsksNobody: a store that was closed is opened anew by whoever
// has its name, not logged in to behind everybody's back.
func TestClosedStoreAsksNobody(t *testing.T) {
	s := giving(&Entry{Secret: NewSecret(canary)})
	k := keepingFor(time.Minute, s)
	get(t, k, "a")
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	for op, do := range map[string]func() error{
		"read a":   func() error { _, err := k.Get(t.Context(), "a"); return err },
		"store a":  func() error { return k.Put(t.Context(), "a", account("", canary)) },
		"delete a": func() error { return k.Delete(t.Context(), "a") },
		"check":    func() error { return k.Check(t.Context()) },
	} {
		if err := do(); !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), op) {
			t.Errorf("%s: %v", op, err)
		}
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestCloseWaitsForChanges: a change that is under way is not cut off.
func TestCloseWaitsForChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{put: func(ctx context.Context) error {
			time.Sleep(time.Second)
			return ctx.Err()
		}}
		k := keepingFor(time.Minute, s)
		written := make(chan error, 1)
		go func() { written <- k.Put(t.Context(), "a", account("", canary)) }()
		synctest.Wait()
		began := time.Now()
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("closed after %s", took)
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
	})
}
