package vault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keytender/installer/testbed/session"

	"github.com/godbus/dbus/v5"
)

// startKeyring starts a real gnome-keyring and waits until st reaches it.
func startKeyring(t *testing.T, st blobs, unlock bool) (stop func()) {
	t.Helper()
	return session.StartKeyring(t, unlock, func() error {
		err := st.Check(t.Context())
		if !unlock && errors.Is(err, ErrLocked) {
			return nil
		}
		return err
	})
}

func TestKeyringUnlocked(t *testing.T) {
	session.Run(t, func(t *testing.T) {
		o := Options{Dir: t.TempDir()}
		st := mustOpen(t, Config{URL: "keyring:"}, o)
		startKeyring(t, st, true)
		testTexts(t, func(t *testing.T) blobs { return mustOpen(t, Config{URL: "keyring:"}, o) })
		t.Run("LargeInFiles", func(t *testing.T) {
			testTexts(t, func(t *testing.T) blobs {
				k := mustOpen(t, Config{URL: "keyring:"}, Options{Dir: o.Dir, Service: "keytender-test"}).(*keyring)
				k.limit = 100
				return k
			})
		})
		t.Run("AsAStore", func(t *testing.T) { testStore(t, place{config: Config{URL: "keyring:"}, options: o}) })
		t.Run("Sealed", func(t *testing.T) { sealedWithKeyring(t, o) })
	})
}

func sealedWithKeyring(t *testing.T, o Options) {
	st := mustOpen(t, Config{URL: "sealed:", Key: "keyring"}, o) // opened once: its keyring calls must wait for each other
	testTexts(t, func(*testing.T) blobs { return st })
	put(t, st, "lost", canary)
	ring := openKeyring(Config{}, Options{Service: "keytender"})
	if err := ring.system.remove("keytender", keyringSealName); err != nil {
		t.Fatal(err)
	}
	_, err := st.Get(t.Context(), "lost")
	wantError(t, err, ErrNoKey, "read lost", "not in the keyring")
	wantError(t, st.Put(t.Context(), "more", NewSecret(canary)), ErrNoKey, "restore the keyring")
	wantError(t, st.Check(t.Context()), ErrNoKey)
}

func TestKeyringSurvivesRestart(t *testing.T) {
	session.Run(t, func(t *testing.T) {
		st := mustOpen(t, Config{URL: "keyring:"}, Options{Dir: t.TempDir()})
		stop := startKeyring(t, st, true)
		put(t, st, "a", canary)
		stop() // killed: what was put must be on disk
		_, err := st.Get(t.Context(), "a")
		wantError(t, err, ErrUnavailable, "no Secret Service runs")
		startKeyring(t, st, true)
		want(t, st, "a", canary)
	})
}

func TestKeyringLocked(t *testing.T) {
	session.Run(t, func(t *testing.T) {
		st := mustOpen(t, Config{URL: "keyring:", Timeout: 2 * time.Second}, Options{})
		stop := startKeyring(t, st, true) // makes the login collection
		put(t, st, "a", canary)
		stop()
		startKeyring(t, st, false)
		wantError(t, st.Check(t.Context()), ErrLocked, "check", "unlock the keyring")

		// Nobody can be shown a dialog: an answer at once.
		_, err := st.Get(t.Context(), "a")
		wantError(t, err, ErrLocked, "read a", "could not be shown")
		wantError(t, st.Put(t.Context(), "a", NewSecret(canary+"2")), ErrLocked, "store a")
		wantError(t, st.Delete(t.Context(), "a"), ErrLocked, "delete a")

		shown := showDialogs(t)
		if err := st.Check(t.Context()); !errors.Is(err, ErrLocked) || len(shown) != 0 {
			t.Errorf("Check: %v, %d dialogs", err, len(shown))
		}
		began := time.Now()
		_, err = st.Get(t.Context(), "a")
		wantError(t, err, ErrLocked, "did not answer in time")
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("Get took %v with a limit of 2 s", took)
		}
		wantError(t, st.Put(t.Context(), "a", NewSecret(canary+"3")), ErrLocked)
		if len(shown) != 1 {
			t.Errorf("%d dialogs, want 1", len(shown))
		}
		session.UnlockKeyring(t)
		eventually(t, func() bool { return st.Check(t.Context()) == nil })
		want(t, st, "a", canary) // and no late Put
	})
}

// A service that is replaced while its dialog is open must not leave the store hanging.
func TestKeyringReplacedWhileLocked(t *testing.T) {
	session.Run(t, func(t *testing.T) {
		st := mustOpen(t, Config{URL: "keyring:", Timeout: 2 * time.Second}, Options{})
		stop := startKeyring(t, st, true)
		put(t, st, "a", canary)
		stop()
		stop = startKeyring(t, st, false)
		showDialogs(t)
		_, err := st.Get(t.Context(), "a")
		wantError(t, err, ErrLocked)
		stop()
		startKeyring(t, st, true)
		want(t, st, "a", canary)
	})
}

func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come about within 10 s")
		}
	}
}

func TestKeyringServiceAbsent(t *testing.T) {
	session.Run(t, func(t *testing.T) {
		unavailable(t, mustOpen(t, Config{URL: "keyring:"}, Options{Dir: t.TempDir()}), "no Secret Service runs in this session", "gnome-keyring")
	})
}

func TestKeyringServiceHangs(t *testing.T) {
	session.Run(t, func(t *testing.T) {
		conn, err := dbus.ConnectSessionBus()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.Export(deaf{}, secretsPath, "org.freedesktop.DBus.Properties"); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.RequestName(secretsName, dbus.NameFlagDoNotQueue); err != nil {
			t.Fatal(err)
		}
		unavailable(t, mustOpen(t, Config{URL: "keyring:", Timeout: time.Second}, Options{}), "the Secret Service does not answer")
	})
}

type deaf struct{}

func (deaf) Get(string, string) (dbus.Variant, *dbus.Error) { select {} }

func TestKeyringWithoutBus(t *testing.T) {
	dir, bin := t.TempDir(), t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("PATH", bin)
	launch := "#!/bin/sh\n: > '" + dir + "/a-bus-was-started'\n" // what go-keyring would run
	if err := os.WriteFile(filepath.Join(bin, "dbus-launch"), []byte(launch), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"unix:path=" + dir + "/bus", "autolaunch:", "", "nonsense"} {
		if _, err := os.Stat(fmt.Sprintf("/run/user/%d/bus", os.Getuid())); err == nil && (address == "autolaunch:" || address == "") {
			continue // this user's own bus would be found, and is no part of the test
		}
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
		says := "there is no session bus"
		if os.Geteuid() == 0 {
			says = "root has no session bus"
		}
		unavailable(t, mustOpen(t, Config{URL: "keyring:"}, Options{Dir: dir}), says, `"sealed:"`, "keytender store init sealed")
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("something was written: %v", files)
	}
}

func unavailable(t *testing.T, st blobs, words ...string) {
	t.Helper()
	wantError(t, st.Check(t.Context()), ErrUnavailable, append(words, "check")...)
	_, err := st.Get(t.Context(), "a")
	wantError(t, err, ErrUnavailable, append(words, "read a")...)
	wantError(t, st.Put(t.Context(), "a", NewSecret(canary)), ErrUnavailable, append(words, "store a")...)
	wantError(t, st.Put(t.Context(), "a", NewSecret(strings.Repeat(canary, 10_000))), ErrUnavailable, words...)
	wantError(t, st.Delete(t.Context(), "a"), ErrUnavailable, append(words, "delete a")...)
}
