package vault

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestHungKeyringTakesOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, d, _ := fakeKeyring(t)
		released := make(chan struct{})
		d.before = func(string) error { <-released; return nil }
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() {
				began := time.Now()
				_, err := k.Get(t.Context(), "a")
				wantError(t, err, ErrLocked, "read a", "unlock the keyring")
				if took := time.Since(began); took != 10*time.Second {
					t.Errorf("a caller waited %v", took)
				}
			})
		}
		callers.Wait()
		if n := d.calls.Load(); n != 1 {
			t.Errorf("%d calls hang in the keyring, want 1", n)
		}
		close(released)
		synctest.Wait()
		put(t, k, "a", canary)
		want(t, k, "a", canary)
	})
}

func TestDialogOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, d, s := fakeKeyring(t)
		s.state.Store(&Error{Kind: ErrLocked})
		for range 3 {
			wantError(t, k.Put(t.Context(), "a", NewSecret(canary)), ErrLocked, "store a")
		}
		if n := s.unlocks.Load(); n != 1 {
			t.Errorf("%d dialogs, want 1", n)
		}
		close(s.answer)
		synctest.Wait()
		if len(d.entries) != 0 {
			t.Error("a value was stored that its caller was told was not")
		}
		put(t, k, "a", canary)
	})
}

func TestDialogEndsOneDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _, s := fakeKeyring(t)
		s.state.Store(&Error{Kind: ErrLocked})
		_, err := k.Get(t.Context(), "a")
		wantError(t, err, ErrLocked)
		time.Sleep(patience)
		synctest.Wait()
		s.state.Store(nil)
		put(t, k, "a", canary)
	})
}

func TestLatePutAndDeleteChangeNothing(t *testing.T) {
	for what, call := range map[string]func(context.Context, *keyring) error{
		"Put":    func(ctx context.Context, k *keyring) error { return k.Put(ctx, "a", NewSecret("new")) },
		"Delete": func(ctx context.Context, k *keyring) error { return k.Delete(ctx, "a") },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, d, _ := fakeKeyring(t)
				put(t, k, "a", canary)
				d.before = func(string) error { time.Sleep(time.Minute); return nil } // as macOS, behind a dialog
				d.changes.Store(0)
				wantError(t, call(t.Context(), k), ErrLocked)
				time.Sleep(time.Hour)
				if d.changes.Load() != 0 || d.entries["a"] != canary {
					t.Error("the keyring was changed behind the caller's back")
				}
			})
		})
	}
}

func TestHungServiceIsNotCalledLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, d, s := fakeKeyring(t)
		s.hang = true
		_, err := k.Get(t.Context(), "a")
		wantError(t, err, ErrUnavailable, "hangs")
		wantError(t, k.Check(t.Context()), ErrUnavailable, "hangs")
		if d.calls.Load() != 0 {
			t.Error("go-keyring was called")
		}
	})
}

func TestCallerGoneIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, d, _ := fakeKeyring(t)
		d.before = func(string) error { time.Sleep(time.Minute); return nil }
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := k.Get(ctx, "a"); !errors.Is(err, context.Canceled) || errors.Is(err, ErrLocked) {
			t.Errorf("Get: %v, want context.Canceled", err)
		}
		time.Sleep(time.Hour)
	})
}

func TestCheckAsksNobody(t *testing.T) {
	k, d, s := fakeKeyring(t)
	s.state.Store(&Error{Kind: ErrLocked, Todo: "unlock it"})
	wantError(t, k.Check(t.Context()), ErrLocked, "keyring: check:", "unlock it")
	if s.unlocks.Load() != 0 || d.calls.Load() != 0 {
		t.Error("Check asked a person")
	}
	s.state.Store(nil)
	if err := k.Check(t.Context()); err != nil || d.changes.Load() != 0 {
		t.Errorf("Check: %v, %d changes", err, d.changes.Load())
	}
}

func TestKeyringErrorsGetTheirKind(t *testing.T) {
	k, d, s := fakeKeyring(t)
	cause := errors.New("exit status 36")
	d.before = func(string) error { return cause }
	err := k.Put(t.Context(), "a", NewSecret(canary))
	wantError(t, err, ErrUnavailable, "store a", "exit status 36", `"sealed:"`)
	wantError(t, err, cause)

	d.before = func(string) error { s.state.Store(&Error{Kind: ErrLocked, Todo: "unlock it"}); return cause }
	_, err = k.Get(t.Context(), "a")
	wantError(t, err, ErrLocked, "exit status 36", "unlock it")
	s.state.Store(nil)

	d.before = func(string) error { panic("signal is nil") }
	_, err = k.Get(t.Context(), "a")
	wantError(t, err, ErrUnavailable, "broke off")
}

func TestLargeValuesInFiles(t *testing.T) {
	k, d, _ := fakeKeyring(t)
	testTexts(t, func(*testing.T) blobs { return k })
	if empty, err := k.files.empty(); err != nil || empty {
		t.Fatalf("nothing went to a file: %v", err)
	}

	file := k.files.path("large")
	large := strings.Repeat(canary, 10)
	put(t, k, "large", large)
	entry := d.entries["large"]
	if !strings.HasPrefix(entry, sealedMark) || len(entry) > 200 || strings.Contains(string(readFile(t, file)), canary) {
		t.Errorf("the entry has %d bytes", len(entry))
	}
	put(t, k, "large", large+"2")
	if d.entries["large"] != entry {
		t.Error("the key changed: a crash between entry and file would lose both values")
	}
	put(t, k, "large", "small")
	if _, err := os.Lstat(file); !os.IsNotExist(err) || d.entries["large"] != "small" {
		t.Errorf("the file is still there: %v", err)
	}
	put(t, k, "large", large)
	if err := k.Delete(t.Context(), "large"); err != nil || d.entries["large"] != "" {
		t.Errorf("Delete: %v", err)
	}
	if _, err := os.Lstat(file); !os.IsNotExist(err) {
		t.Errorf("Delete left the file: %v", err)
	}
}

func TestLargeValueDamaged(t *testing.T) {
	k, d, _ := fakeKeyring(t)
	large := strings.Repeat(canary, 10)
	for what, damage := range map[string]func() error{
		"missing":    func() error { return os.Remove(k.files.path("a")) },
		"truncated":  func() error { return os.Truncate(k.files.path("a"), 100) },
		"of another": func() error { return os.Rename(k.files.path("b"), k.files.path("a")) },
		"bad key":    func() error { d.entries["a"] = sealedMark + canary; return nil },
	} {
		put(t, k, "a", large)
		put(t, k, "b", large)
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		_, err := k.Get(t.Context(), "a")
		wantError(t, err, ErrBroken, "read a", filepath.Base(k.files.path("a")), "store the secret again")
		put(t, k, "a", large+what)
		want(t, k, "a", large+what)
	}
}

func TestLargeValueCutOffKeepsTheOld(t *testing.T) {
	k, d, _ := fakeKeyring(t)
	put(t, k, "a", "old")
	d.before = func(call string) error {
		if call == "set" {
			return errors.New("cut off")
		}
		return nil
	}
	wantError(t, k.Put(t.Context(), "a", NewSecret(strings.Repeat(canary, 10))), ErrUnavailable, "cut off")
	want(t, k, "a", "old")

	k.files = folder{}
	wantError(t, k.Put(t.Context(), "a", NewSecret(strings.Repeat(canary, 10))), ErrUnavailable, "no directory")
	want(t, k, "a", "old")
}

func TestKeyringLimits(t *testing.T) {
	if keyringLimit("windows") != 2560 {
		t.Error("Windows takes 2,560 bytes")
	}
	// What go-keyring writes to /usr/bin/security on macOS; it takes 4,096 bytes.
	command := len("add-generic-password -U -s keytender -a  -w go-keyring-base64:\n") + maxName + (keyringLimit("darwin")+2)/3*4
	if command > 4096 {
		t.Errorf("macOS: a command of %d bytes", command)
	}
}
