package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// testTexts is what every store of the agent's own must do with its texts. Each call of open opens the same place.
func testTexts(t *testing.T, open func(t *testing.T) blobs) {
	cases := map[string]func(*testing.T, func(*testing.T) blobs){
		"WhatIsPutComesBack":      whatIsPutComesBack,
		"LastPutWins":             lastPutWins,
		"NamesDoNotMix":           namesDoNotMix,
		"MissingIsNotFound":       missingIsNotFound,
		"DeletedIsGone":           deletedIsGone,
		"BadNamesAreRefused":      badNamesAreRefused,
		"BadSecretsAreRefused":    badSecretsAreRefused,
		"EndedContextDoesNothing": endedContextDoesNothing,
		"ManyAtOnce":              manyAtOnce,
	}
	for name, run := range cases {
		t.Run(name, func(t *testing.T) { run(t, open) })
	}
}

func whatIsPutComesBack(t *testing.T, open func(*testing.T) blobs) {
	for what, value := range map[string]string{
		"one byte":   "x",
		"ordinary":   canary,
		"spaces":     " leading, trailing \t",
		"line feeds": "-----BEGIN-----\r\nAAAA\n\n",
		"any text":   "pässwörd €𐍈 \"'`$(x)\\",
		"a mark":     sealedMark + "not a key",
		"key sized":  strings.Repeat("k", 2561),
		"large":      strings.Repeat("0123456789abcdef", 10_000),
	} {
		t.Run(what, func(t *testing.T) {
			put(t, open(t), "suite/value", value)
			want(t, open(t), "suite/value", value) // opened anew
		})
	}
}

func lastPutWins(t *testing.T, open func(*testing.T) blobs) {
	st := open(t)
	for i, size := range []int{10, 200_000, 100_000, 20, 90_000, 1} {
		value := strings.Repeat(fmt.Sprint(i), size)
		put(t, st, "suite/again", value)
		want(t, st, "suite/again", value)
	}
}

func namesDoNotMix(t *testing.T, open func(*testing.T) blobs) {
	st := open(t)
	names := []string{"a/b", "a.b", "a-b", "a_b", "ab", "a/b/c", "a", "a.age", strings.Repeat("n", maxName)}
	for _, name := range names {
		put(t, st, name, "of "+name)
	}
	for _, name := range names {
		want(t, st, name, "of "+name)
	}
}

func missingIsNotFound(t *testing.T, open func(*testing.T) blobs) {
	st := open(t)
	if err := st.Check(t.Context()); err != nil {
		t.Fatalf("Check: %v", err)
	}
	for range 2 { // and looking makes nothing
		if _, err := st.Get(t.Context(), "suite/missing"); !errors.Is(err, ErrNotFound) {
			t.Fatalf("Get: %v, want ErrNotFound", err)
		}
	}
}

func deletedIsGone(t *testing.T, open func(*testing.T) blobs) {
	st := open(t)
	for _, value := range []string{"small", strings.Repeat("large", 50_000)} {
		put(t, st, "suite/gone", value)
		for range 2 {
			if err := st.Delete(t.Context(), "suite/gone"); err != nil {
				t.Fatalf("Delete: %v", err)
			}
		}
		if _, err := open(t).Get(t.Context(), "suite/gone"); !errors.Is(err, ErrNotFound) {
			t.Fatalf("Get: %v, want ErrNotFound", err)
		}
	}
}

func badNamesAreRefused(t *testing.T, open func(*testing.T) blobs) {
	st := open(t)
	for _, name := range []string{"", "/a", "a/../b", "A", "a\x00", "a\r\nb", keyringSealName} {
		_, get := st.Get(t.Context(), name)
		for what, err := range map[string]error{
			"Get":    get,
			"Put":    st.Put(t.Context(), name, NewSecret("x")),
			"Delete": st.Delete(t.Context(), name),
		} {
			if err == nil || errors.Is(err, ErrNotFound) {
				t.Errorf("%s(%q) = %v, want a refusal", what, name, err)
			}
		}
	}
}

func badSecretsAreRefused(t *testing.T, open func(*testing.T) blobs) {
	st := open(t)
	for _, value := range []string{"", strings.Repeat(canary, maxSecret/len(canary)+1)} {
		err := st.Put(t.Context(), "suite/bad", NewSecret(value))
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("Put of %d bytes: %v", len(value), err)
		}
	}
	if _, err := st.Get(t.Context(), "suite/bad"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get: %v, want ErrNotFound", err)
	}
}

func endedContextDoesNothing(t *testing.T, open func(*testing.T) blobs) {
	st := open(t)
	put(t, st, "suite/ended", "old")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, get := st.Get(ended, "suite/ended")
	for what, err := range map[string]error{
		"Get":    get,
		"Put":    st.Put(ended, "suite/ended", NewSecret("new")),
		"Delete": st.Delete(ended, "suite/ended"),
		"Check":  st.Check(ended),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", what, err)
		}
	}
	want(t, st, "suite/ended", "old")
}

func manyAtOnce(t *testing.T, open func(*testing.T) blobs) {
	st := open(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			own := fmt.Sprintf("suite/own-%d", i)
			for range 3 {
				put(t, st, own, own)
				put(t, st, "suite/shared", strings.Repeat(fmt.Sprint(i), 1000))
				want(t, st, own, own)
				s, err := st.Get(t.Context(), "suite/shared")
				if v := s.Reveal(); err != nil || len(v) != 1000 || strings.Trim(v, v[:1]) != "" {
					t.Errorf("shared entry is mixed: %d bytes, %v", len(v), err)
				}
			}
		})
	}
	all.Wait()
}

func put(t *testing.T, st blobs, name, value string) {
	t.Helper()
	if err := st.Put(t.Context(), name, NewSecret(value)); err != nil {
		t.Errorf("Put %s: %v", name, err)
	}
}

func want(t *testing.T, st blobs, name, value string) {
	t.Helper()
	got, err := st.Get(t.Context(), name)
	if err != nil {
		t.Errorf("Get %s: %v", name, err)
	} else if got.Reveal() != value {
		t.Errorf("Get %s: %d bytes that differ from the %d put", name, len(got.Reveal()), len(value))
	}
}

func mustOpen(t *testing.T, c Config, o Options) blobs {
	t.Helper()
	st, err := openOwn(c, o)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// wantError checks kind, the words a person needs, and that no secret shows.
func wantError(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error %v, want %q", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
	if strings.Contains(fmt.Sprintf("%+v %#v", err, err), canary) || strings.Contains(err.Error(), "AGE-SECRET-KEY") {
		t.Errorf("error shows a secret: %v", err)
	}
}
