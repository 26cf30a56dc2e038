package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"keytender/agent/orchestratortest"
	"keytender/installer/testbed"
)

// allFetched sees that a whole run with so many rounds measured every store: the
// login and what else a first read needs, and later the read alone.
func allFetched(t *testing.T, r report, rounds int) {
	t.Helper()
	want := []struct {
		name         string
		first, later int // questions
	}{{"sealed", 0, 0}, {"hashicorp", 3, 1}, {"azure-fake", 4, 1}, {"cyberark-ccp-fake", 1, 1}, {"conjur-fake", 4, 3}}
	if len(r.stores) != len(want) {
		t.Fatalf("%d stores", len(r.stores))
	}
	for i, s := range r.stores {
		w := want[i]
		if s.name != w.name || len(s.first) != rounds || len(s.later) != rounds*laterFetches || len(s.cached) != rounds*cachedTurns {
			t.Errorf("%s: %d at the start, %d logged in, %d turns in memory", s.name, len(s.first), len(s.later), len(s.cached))
		}
		for _, f := range slices.Concat(s.first, s.later) {
			if f.store <= 0 || f.provider <= 0 || f.whole != f.provider+f.store+f.agent() {
				t.Errorf("%s: %+v", s.name, f)
			}
		}
		if first, later := medianOf(s.first).questions, medianOf(s.later).questions; first != w.first || later != w.later {
			t.Errorf("%s: %d questions at the start and %d later, want %d and %d", s.name, first, later, w.first, w.later)
		}
	}
}

func TestMissingVaultIsToldAtOnce(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	_, err := plan{keytender: "nowhere"}.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), `hashicorp is not prepared: run "make test"`) {
		t.Errorf("got %v", err)
	}
}

// TestTokenInMemoryIsNoFetch: figures of tokens that were there already would
// be worth nothing.
func TestTokenInMemoryIsNoFetch(t *testing.T) {
	provider := orchestratortest.New(orchestratortest.Options{})
	defer provider.Close()
	asked := 0
	s := &store{asked: func() int { return asked }}
	ask := func() (time.Duration, error) { asked++; return time.Second, nil }
	if err := s.fetch(&fetch{}, provider, time.Millisecond, ask); err == nil || !strings.Contains(err.Error(), "had the token in memory") {
		t.Errorf("the provider was not asked: %v", err)
	}
	if took, questions, err := s.counted(ask); took != time.Second || questions != 1 || err != nil {
		t.Errorf("got %v, %d questions, %v", took, questions, err)
	}
	if _, _, err := s.counted(func() (time.Duration, error) { return time.Second, nil }); err == nil || !strings.Contains(err.Error(), "the secret was in memory") {
		t.Errorf("the store was not asked: %v", err)
	}
}

func TestFetchesOfAMedian(t *testing.T) {
	all := []fetch{{9, 2, 1, 1}, {30, 1, 4, 3}, {10, 3, 3, 2}}
	if got := medianOf(all); got != (fetch{10, 2, 3, 2}) || got.agent() != 5 {
		t.Errorf("got %+v", got)
	}
}

// TestLikenessIsOfPairs: a machine that slows down for both leaves it as it is.
func TestLikenessIsOfPairs(t *testing.T) {
	base, s := &store{}, &store{}
	for i := range 3 * cachedTurns {
		slow := time.Duration(1 + i%7)
		base.cached = append(base.cached, 100*slow)
		s.cached = append(s.cached, time.Duration(i/cachedTurns+10)*10*slow)
	}
	if got := s.like(base); got != (likeness{1.1, 1, 1.2}) {
		t.Errorf("got %+v", got)
	}
}

func TestStageIsClearedWhateverHappens(t *testing.T) {
	for name, c := range map[string]struct {
		do    func(testbed.Test) error
		says  string
		panic any
	}{
		"well":          {do: func(testbed.Test) error { return nil }},
		"with an error": {do: func(testbed.Test) error { return errors.New("no") }, says: "no"},
		"fatal":         {do: func(s testbed.Test) error { s.Fatal("no ", 1); return nil }, says: "no 1"},
		"fatalf":        {do: func(s testbed.Test) error { s.Fatalf("no %q", "x"); return nil }, says: `no "x"`},
		"panic":         {do: func(testbed.Test) error { panic("mine") }, panic: "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			var ended []string
			dir := t.TempDir()
			panicked, err := func() (panicked any, err error) {
				defer func() { panicked = recover() }()
				return nil, onStage(t.Context(), dir, func(s testbed.Test) error {
					s.Cleanup(func() { ended = append(ended, "first", s.Context().Err().Error()) })
					s.Cleanup(func() { ended = append(ended, "second") })
					if in := s.TempDir(); filepath.Dir(in) != dir {
						t.Errorf("files are in %s", in)
					} else if _, err := os.Stat(in); err != nil {
						t.Error(err)
					}
					return c.do(s)
				})
			}()
			if panicked != c.panic || c.says == "" && err != nil || c.says != "" && (err == nil || err.Error() != c.says) {
				t.Errorf("got %v, panic %v", err, panicked)
			}
			if !slices.Equal(ended, []string{"second", "first", "context canceled"}) {
				t.Errorf("ended %q", ended)
			}
		})
	}
}
