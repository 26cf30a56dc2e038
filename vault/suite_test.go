package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

const canary = "canary-8f2e41-secret"

// place is where a store's entries are, as the suite sees it.
type place struct {
	config  Config
	options Options
	only    Store // opened once, for it forgets everything when it is closed; nil: opened anew

	// write makes an entry as another program would. nil: by Put.
	write func(t *testing.T, name string, e Entry)
	// neverWritten is what a store says that no configuration lets write, and
	// undeletable what one says that can be written and does not delete. Both are
	// empty where the store does as it is told.
	neverWritten, undeletable string
	// names are names that the store has beside the suite's own.
	names []string
	// server is nil where nobody is asked over a network.
	server server
}

// server is what the suite does to a store's server.
type server interface {
	// Reads is how often the entry of that name was read so far; "" stands for
	// every question, whatever it was about.
	Reads(t *testing.T, name string) int
	// Hold has the server keep every answer back until release is called.
	Hold(t *testing.T) (release func())
	// Cut has the server end connections without an answer until restore is
	// called.
	Cut(t *testing.T) (restore func())
}

// testStore is what every store must do.
func testStore(t *testing.T, p place) {
	for name, run := range map[string]func(*testing.T, place){
		"WhatIsWrittenComesBack":    whatIsWrittenComesBack,
		"LastWriteWins":             lastWriteWins,
		"MissingIsNotFound":         entryMissingIsNotFound,
		"NoTextIsNeverAnotherText":  noTextIsNeverAnotherText,
		"NamesStayBelowTheirPath":   namesStayBelowTheirPath,
		"DeletedIsGone":             entryDeletedIsGone,
		"ReadOnlyUnlessToldToWrite": readOnlyUnlessToldToWrite,
		"EndedContextDoesNothing":   endedContextChangesNothing,
		"CheckChangesNothing":       checkChangesNothing,
		"DeadlineIsHonoured":        deadlineIsHonoured,
		"ManyGetsAreOneQuestion":    manyGetsAreOneQuestion,
		"CallerGoneOthersServed":    callerGoneOthersServed,
		"ClosedConnectionIsToldSo":  closedConnectionIsToldSo,
		"KeptAndForgotten":          keptAndForgotten,
	} {
		t.Run(name, func(t *testing.T) { run(t, p) })
	}
}

func (p place) open(t *testing.T) Store {
	t.Helper()
	if p.only != nil {
		return p.only
	}
	st, err := Open(p.config, p.options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return st
}

// put makes an entry in the way that the place has.
func (p place) put(t *testing.T, name string, e Entry) {
	t.Helper()
	if p.write != nil {
		p.write(t, name, e)
		return
	}
	if err := p.open(t).Put(t.Context(), name, e); err != nil {
		t.Fatalf("Put %s: %v", name, err)
	}
}

func (p place) writable() bool { return !p.config.Shared() || p.config.Write }

func get(t *testing.T, st Store, name string) Entry {
	t.Helper()
	e, err := st.Get(t.Context(), name)
	if err != nil {
		t.Fatalf("Get %s: %v", name, err)
	}
	return e
}

func sameEntry(t *testing.T, name string, got, want Entry) {
	t.Helper()
	if !got.Secret.Equal(want.Secret) || got.Username != want.Username {
		t.Errorf("%s comes back as %q with %d bytes, not %q with %d", name, got.Username, len(got.Secret.Reveal()), want.Username, len(want.Secret.Reveal()))
	}
}

func account(username, secret string) Entry {
	return Entry{Username: username, Secret: NewSecret(secret)}
}

func whatIsWrittenComesBack(t *testing.T, p place) {
	for what, value := range map[string]string{
		"one byte": "x",
		"ordinary": canary,
		"any text": "pässwörd €𐍈 \"'`$(x)\\%2f&=+",
		"JSON":     `{"a":"b"}`,
		"64 KiB":   strings.Repeat("0123456789abcdef", 4<<10),
		"a key":    "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
	} {
		t.Run(what, func(t *testing.T) {
			if what == "64 KiB" && p.config.URL[:5] == "azure" {
				value = value[:24<<10] // Key Vault takes 25 KiB
			}
			name := "suite-" + strings.ReplaceAll(what, " ", "-")
			name = strings.ToLower(name)
			e := account("client-7f0c", value)
			p.put(t, name, e)
			sameEntry(t, name, get(t, p.open(t), name), e)
		})
	}
}

func lastWriteWins(t *testing.T, p place) {
	for i := range 3 {
		e := account("client", fmt.Sprint(canary, i))
		p.put(t, "suite-again", e)
		sameEntry(t, "suite-again", get(t, p.open(t), "suite-again"), e)
	}
}

func entryMissingIsNotFound(t *testing.T, p place) {
	st := p.open(t)
	for range 2 { // and looking makes nothing
		_, err := st.Get(t.Context(), "suite-missing")
		wantError(t, err, ErrNotFound, "suite-missing")
	}
}

// noTextIsNeverAnotherText: a store either keeps bytes that are not text as
// they are or says that it cannot.
func noTextIsNeverAnotherText(t *testing.T, p place) {
	if !p.writable() {
		return // nobody could write them there
	}
	st, e := p.open(t), account("", "\xff\xfe\x00"+canary)
	if err := st.Put(t.Context(), "suite-binary", e); err != nil {
		if strings.Contains(err.Error(), canary) || !strings.Contains(err.Error(), "not text") {
			t.Errorf("Put of bytes: %v", err)
		}
		return
	}
	sameEntry(t, "suite-binary", get(t, st, "suite-binary"), e)
}

// namesStayBelowTheirPath: whatever a name has in it, it is an entry of its
// own or refused, and never a way to another one.
func namesStayBelowTheirPath(t *testing.T, p place) {
	p.put(t, "suite-inside", account("", canary+"-inside"))
	names := append([]string{"suite/../suite-inside", "../suite-inside", "x/../../y", ".", "..", "/suite-inside", "suite-inside/", "a//b",
		"%2e%2e%2fsuite-inside", "suite-inside?x=y", "suite-inside#x", "suite-inside%00", "suite-inside%3f", `suite\..\inside`,
		"suite-inside;x", "Suite Größe 日本", "suite+inside&x=y", "a\x00b", "a\r\nb", "\u202eb"}, p.names...)
	for _, name := range names {
		st := p.open(t)
		if err := p.config.CheckName(name); err != nil {
			if _, err := st.Get(t.Context(), name); err == nil || errors.Is(err, ErrNotFound) {
				t.Errorf("Get(%q) = %v, but it is no name", name, err)
			}
			continue
		}
		if _, err := st.Get(t.Context(), name); !errors.Is(err, ErrNotFound) {
			t.Errorf("Get(%q) before it was made: %v", name, err)
			continue
		}
		e := account("own", canary+name)
		p.put(t, name, e)
		sameEntry(t, name, get(t, p.open(t), name), e)
	}
	sameEntry(t, "suite-inside", get(t, p.open(t), "suite-inside"), account("", canary+"-inside"))
}

func entryDeletedIsGone(t *testing.T, p place) {
	if !p.writable() {
		return
	}
	st := p.open(t)
	p.put(t, "suite-gone", account("", canary))
	get(t, st, "suite-gone")
	if p.undeletable != "" {
		wantError(t, st.Delete(t.Context(), "suite-gone"), ErrDenied, "suite-gone", p.undeletable)
		sameEntry(t, "suite-gone", get(t, p.open(t), "suite-gone"), account("", canary))
		if err := st.Delete(t.Context(), "suite-never-there"); err != nil {
			t.Errorf("Delete of nothing: %v", err)
		}
		return
	}
	for range 2 {
		if err := st.Delete(t.Context(), "suite-gone"); err != nil {
			t.Fatalf("Delete: %v", err)
		}
	}
	_, err := st.Get(t.Context(), "suite-gone")
	wantError(t, err, ErrNotFound)
}

func readOnlyUnlessToldToWrite(t *testing.T, p place) {
	if !p.config.Shared() {
		return
	}
	p.put(t, "suite-read-only", account("", canary))
	p.config.Write = false
	st, says := p.open(t), cmp.Or(p.neverWritten, "write: true")
	wantError(t, st.Put(t.Context(), "suite-read-only", account("", canary+"2")), ErrReadOnly, says)
	wantError(t, st.Delete(t.Context(), "suite-read-only"), ErrReadOnly, says)
	sameEntry(t, "suite-read-only", get(t, st, "suite-read-only"), account("", canary))
}

func endedContextChangesNothing(t *testing.T, p place) {
	p.put(t, "suite-ended", account("", canary))
	st := p.open(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := st.Get(ended, "suite-ended")
	for what, err := range map[string]error{
		"Get":    err,
		"Put":    st.Put(ended, "suite-ended", account("", "new")),
		"Delete": st.Delete(ended, "suite-ended"),
		"Check":  st.Check(ended),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", what, err)
		}
	}
	sameEntry(t, "suite-ended", get(t, st, "suite-ended"), account("", canary))
}

func checkChangesNothing(t *testing.T, p place) {
	p.put(t, "suite-checked", account("", canary))
	st := p.open(t)
	for range 2 {
		if err := st.Check(t.Context()); err != nil {
			t.Fatalf("Check: %v", err)
		}
	}
	sameEntry(t, "suite-checked", get(t, st, "suite-checked"), account("", canary))
}

func deadlineIsHonoured(t *testing.T, p place) {
	if p.server == nil {
		return
	}
	p.put(t, "suite-slow", account("", canary))
	p.config.Timeout = 300 * time.Millisecond
	st := p.open(t)
	defer p.server.Hold(t)()
	began := time.Now()
	_, err := st.Get(t.Context(), "suite-slow")
	wantError(t, err, ErrUnavailable, "did not answer within 300ms")
	wantError(t, st.Check(t.Context()), ErrUnavailable, "did not answer within 300ms")
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := st.Get(short, "suite-slow"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a caller with less time gets %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("three questions of at most 300 ms took %s", took)
	}
}

func manyGetsAreOneQuestion(t *testing.T, p place) {
	if p.server == nil {
		return
	}
	p.put(t, "suite-many", account("", canary))
	st := p.open(t)
	if err := st.Check(t.Context()); err != nil { // logged in
		t.Fatal(err)
	}
	before := p.server.Reads(t, "suite-many")
	release := p.server.Hold(t)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			e, err := st.Get(t.Context(), "suite-many")
			if err != nil || e.Secret.Reveal() != canary {
				t.Errorf("Get: %v", err)
			}
		})
	}
	waitFor(t, "the question at the server", func() bool { return p.server.Reads(t, "suite-many") > before })
	release()
	all.Wait()
	if n := p.server.Reads(t, "suite-many") - before; n != 1 {
		t.Errorf("50 callers at once asked %d times", n)
	}
}

func callerGoneOthersServed(t *testing.T, p place) {
	if p.server == nil {
		return
	}
	p.put(t, "suite-leaves", account("", canary))
	st := p.open(t)
	before := p.server.Reads(t, "")
	release := p.server.Hold(t)
	leaving, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := st.Get(leaving, "suite-leaves")
		gone <- err
	}()
	waitFor(t, "a question at the server", func() bool { return p.server.Reads(t, "") > before })
	stays := make(chan error, 1)
	go func() {
		_, err := st.Get(t.Context(), "suite-leaves")
		stays <- err
	}()
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("who left gets %v", err)
	}
	release()
	if err := <-stays; err != nil {
		t.Errorf("who stayed gets %v", err)
	}
}

func closedConnectionIsToldSo(t *testing.T, p place) {
	if p.server == nil {
		return
	}
	p.put(t, "suite-cut", account("", canary))
	st := p.open(t)
	restore := p.server.Cut(t)
	_, err := st.Get(t.Context(), "suite-cut")
	wantError(t, err, ErrUnavailable)
	wantError(t, st.Check(t.Context()), ErrUnavailable)
	restore()
	sameEntry(t, "suite-cut", get(t, st, "suite-cut"), account("", canary))
}

func keptAndForgotten(t *testing.T, p place) {
	if p.server == nil {
		return
	}
	p.put(t, "suite-kept", account("", canary))
	st := p.open(t)
	get(t, st, "suite-kept")
	before := p.server.Reads(t, "suite-kept")
	get(t, st, "suite-kept")
	if n := p.server.Reads(t, "suite-kept") - before; n != 0 {
		t.Errorf("what is kept is asked for again %d times", n)
	}
	p.put(t, "suite-kept", account("", canary+"2"))
	st.Forget("suite-kept")
	sameEntry(t, "suite-kept", get(t, st, "suite-kept"), account("", canary+"2"))
}

func waitFor(t *testing.T, what string, met func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !met(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
