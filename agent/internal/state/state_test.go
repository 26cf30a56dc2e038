package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type pairing struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

func machine(id string) Options {
	return Options{MachineID: func() ([]byte, error) { return []byte(id), nil }}
}

func nowhere() Options {
	return Options{MachineID: func() ([]byte, error) { return nil, ErrNoMachineID }}
}

func open(t *testing.T, dir string, o Options) *Dir {
	t.Helper()
	d, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func newDir(t *testing.T) string { return filepath.Join(t.TempDir(), "a", "keytender") }

func TestSavedIsLoadedAfterRestart(t *testing.T) {
	dir := newDir(t)
	first := open(t, dir, machine("m1"))
	want := []pairing{{"invoices", "https://host/a/b"}}
	if err := first.Save("profiles", want); err != nil {
		t.Fatal(err)
	}
	key, here := first.Key(), first.Machine()
	if err := errors.Join(first.Close(), first.Close()); err != nil {
		t.Fatal(err)
	}
	second := open(t, dir, machine("m1"))
	var got []pairing
	if err := second.Load("profiles", &got); err != nil || len(got) != 1 || got[0] != want[0] {
		t.Errorf("loaded %v, %v", got, err)
	}
	if !bytes.Equal(second.Key(), key) || !bytes.Equal(second.Machine(), here) || len(key) != 32 || len(here) != 32 {
		t.Error("key or machine changed over a restart")
	}
	if !second.Bound() {
		t.Error("not bound on a machine with an id")
	}
	for file, mode := range map[string]os.FileMode{".": 0o700, "state.json": 0o600, "profiles.json": 0o600, "lock": 0o600} {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v; want mode %o", file, info.Mode(), err, mode)
		}
	}
}

func TestNothingSavedLeavesTheValueAlone(t *testing.T) {
	d := open(t, newDir(t), machine("m1"))
	got := pairing{Name: "before"}
	if err := d.Load("profiles", &got); err != nil || got.Name != "before" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestRawMachineIDIsWrittenNowhere(t *testing.T) {
	const id = "raw-machine-id-0123456789"
	dir := newDir(t)
	open(t, dir, machine(id))
	raw, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if err != nil || bytes.Contains(raw, []byte(id)) {
		t.Errorf("state.json: %s, %v", raw, err)
	}
}

func TestCopyOnAnotherMachineRefused(t *testing.T) {
	dir := newDir(t)
	open(t, dir, machine("m1")).Close()
	before, _ := os.ReadFile(filepath.Join(dir, "state.json"))
	for name, o := range map[string]Options{"another id": machine("m2"), "no id": nowhere()} {
		_, err := Open(dir, o)
		if e, ok := errors.AsType[*ForeignError](err); !ok || e.Dir != dir {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after, _ := os.ReadFile(filepath.Join(dir, "state.json")); !bytes.Equal(before, after) {
		t.Error("the foreign state was changed")
	}
	open(t, dir, machine("m1"))
}

func TestMachineWithoutIDIsUnboundUntilItHasOne(t *testing.T) {
	dir := newDir(t)
	d := open(t, dir, nowhere())
	unbound := d.Machine()
	if d.Bound() || len(unbound) != 32 {
		t.Fatalf("bound %v, machine of %d bytes", d.Bound(), len(unbound))
	}
	d.Close()
	d = open(t, dir, nowhere())
	if d.Bound() || !bytes.Equal(d.Machine(), unbound) {
		t.Error("the made-up identity did not last")
	}
	d.Close()
	d = open(t, dir, machine("m1"))
	if !d.Bound() {
		t.Error("not bound though there is an id now")
	}
	d.Close()
	if _, err := Open(dir, machine("m2")); err == nil {
		t.Error("bound state opened elsewhere")
	}
}

func TestUnreadableMachineIDRefused(t *testing.T) {
	dir := newDir(t)
	denied := Options{MachineID: func() ([]byte, error) { return nil, os.ErrPermission }}
	if _, err := Open(dir, denied); !errors.Is(err, os.ErrPermission) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "state.json")); !errors.Is(err, os.ErrNotExist) {
		t.Error("a state was made without knowing the machine")
	}
}

func TestBrokenFilesRefusedAndLeftAlone(t *testing.T) {
	for name, content := range map[string]string{
		"empty":         "",
		"truncated":     `{"version":1,"data":{"name":"inv`,
		"not json":      "hello\n",
		"zeros":         strings.Repeat("\x00", 64),
		"no version":    `{"data":{"name":"x"}}`,
		"version zero":  `{"version":0,"data":{"name":"x"}}`,
		"no data":       `{"version":1}`,
		"unknown outer": `{"version":1,"data":{"name":"x"},"more":1}`,
		"unknown inner": `{"version":1,"data":{"name":"x","more":1}}`,
		"wrong type":    `{"version":1,"data":{"name":12}}`,
		"two values":    `{"version":1,"data":{"name":"x"}}{}`,
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, newDir(t), machine("m1"))
			file := d.Path("profiles.json")
			write(t, file, content)
			err := d.Load("profiles", &pairing{})
			if e, ok := errors.AsType[*BrokenError](err); !ok || e.File != file {
				t.Errorf("load: %v", err)
			}
			if strings.HasPrefix(name, "unknown inner") || name == "wrong type" {
				return // only Load knows the type
			}
			if err := d.Save("profiles", pairing{}); err == nil {
				t.Error("save overwrote it")
			}
			if got, _ := os.ReadFile(file); string(got) != content {
				t.Error("the file was changed")
			}
		})
	}
}

func TestNewerVersionRefusedUntouched(t *testing.T) {
	const newer = `{"version":2,"shape":["of","tomorrow"]}`
	dir := newDir(t)
	d := open(t, dir, machine("m1"))
	write(t, d.Path("profiles.json"), newer)
	for _, err := range []error{d.Load("profiles", &pairing{}), d.Save("profiles", pairing{})} {
		if e, ok := errors.AsType[*VersionError](err); !ok || e.Found != 2 || e.Known != 1 || e.File != d.Path("profiles.json") {
			t.Errorf("got %v", err)
		}
	}
	d.Close()
	write(t, filepath.Join(dir, "state.json"), newer)
	if _, err := Open(dir, machine("m1")); err == nil || !strings.Contains(err.Error(), "state.json") {
		t.Errorf("open: %v", err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "state.json")); string(got) != newer {
		t.Error("the newer state was changed")
	}
}

func TestLostStateFileIsNotANewState(t *testing.T) {
	dir := newDir(t)
	d := open(t, dir, machine("m1"))
	if err := d.Save("profiles", pairing{}); err != nil {
		t.Fatal(err)
	}
	d.Close()
	os.Remove(filepath.Join(dir, "state.json"))
	if _, err := Open(dir, machine("m2")); err == nil || !strings.Contains(err.Error(), "state.json") {
		t.Errorf("open: %v", err)
	}
}

func TestWhatCouldNotBeReadAgainIsNotSaved(t *testing.T) {
	d := open(t, newDir(t), machine("m1"))
	empty, err := encode(pairing{})
	if err != nil {
		t.Fatal(err)
	}
	largest := strings.Repeat("x", maxFile-len(empty))
	if err := d.Save("profiles", pairing{Name: largest}); err != nil {
		t.Fatal(err)
	}
	if err := d.Save("profiles", pairing{Name: largest + "x"}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
	var got pairing
	if err := d.Load("profiles", &got); err != nil || got.Name != largest {
		t.Errorf("loaded %d bytes, %v", len(got.Name), err)
	}
}

func TestSaveAfterCloseRefused(t *testing.T) {
	d := open(t, newDir(t), machine("m1"))
	d.Close()
	if err := d.Save("profiles", pairing{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestNames(t *testing.T) {
	d := open(t, newDir(t), machine("m1"))
	for _, name := range []string{"", "state", "-a", "../x", "a/b", "a.b", "A", "a\x00"} {
		if d.Save(name, 1) == nil || d.Load(name, new(int)) == nil {
			t.Errorf("name %q accepted", name)
		}
	}
	if err := d.Save("profiles-2", 1); err != nil {
		t.Error(err)
	}
}

func TestSecondAgentIsToldWhoHoldsIt(t *testing.T) {
	dir := newDir(t)
	since := time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)
	o := machine("m1")
	o.Now = func() time.Time { return since }
	first := open(t, dir, o)
	_, err := Open(dir, o)
	e, ok := errors.AsType[*HeldError](err)
	if !ok || e.PID != os.Getpid() || !e.Since.Equal(since) || e.Dir != dir || e.Program == "" {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(err.Error(), "2026-11-21T20:00:00Z") {
		t.Errorf("says %q", err)
	}
	first.Close()
	open(t, dir, o)
}

func TestParseID(t *testing.T) {
	for raw, ok := range map[string]bool{
		"3d1219c7c4c5404aaa1f6d2a48adfda4\n":   true,
		"3D1219C7-C4C5-404A-AA1F-6D2A48ADFDA4": true,
		"":                                     false,
		"uninitialized\n":                      false,
		"3d1219":                               false,
		strings.Repeat("0", 32):                false,
	} {
		if got := parseID([]byte(raw)); (got != nil) != ok {
			t.Errorf("%q: %x", raw, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version":1,"data":{"name":"x","url":""}}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p pairing
		if decode("f", raw, &p) != nil {
			return
		}
		again, err := encode(p)
		if err != nil || !json.Valid(again) || decode("f", again, &p) != nil {
			t.Errorf("%q was accepted and does not come back: %v", raw, err)
		}
	})
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
