// Package vault keeps secrets at rest.
//
//	name, Entry ─► Store ─┬─ own ─┬─ keyring:  the OS keyring ── what is too large for it ─┐
//	                      │       ├─ sealed:   a file an entry, encrypted to a key ◄───────┘
//	                      │       └─ memory:   gone at exit
//	                      └─ kept ┬─ hashicorp://     HashiCorp Vault, OpenBao
//	                              ├─ azure://         Azure Key Vault
//	                              ├─ cyberark-ccp://  CyberArk Central Credential Provider
//	                              └─ conjur://        CyberArk Conjur
//
// The agent's own stores hold what the agent wrote. The others are shared with
// whoever else reads those entries, in the layouts that Orchestrator's credential
// stores read; what they answer is kept in memory for a while.
//
// A store either does what it was asked or returns an error that says why and
// what to do. None ever turns to another store or to plain text instead.
package vault

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"
)

// Store keeps entries under names that Config.CheckName accepts. Its methods
// may be called by many goroutines. Each refuses a bad name, and returns the
// context's error where the context has ended before the work began; the
// other errors are an *Error, whose Kind is one of the sentinels below.
type Store interface {
	// Get returns the entry under name, or ErrNotFound.
	Get(ctx context.Context, name string) (Entry, error)
	// Put stores e under name, in place of what was there. It is as durable
	// as the store can make it when Put returns. An empty secret is refused.
	// Changed and Lease are the store's to say and are not stored; a shared
	// store keeps no Origins.
	Put(ctx context.Context, name string, e Entry) error
	// Delete removes what is under name. Nothing there is no error.
	Delete(ctx context.Context, name string) error
	// Check reports whether the store answers and can be opened. It changes
	// nothing, and asks no person for anything.
	Check(ctx context.Context) error
	// Forget has the next Get ask the store itself, whatever is kept in memory
	// of the entry.
	Forget(name string)
	// Previous returns the entry as it was before the store last told another
	// secret, while that may still be kept in memory.
	Previous(name string) (Entry, bool)
	// Close ends the store's login and whatever runs for it. A question that it
	// cuts off, or that comes later, gets ErrClosed.
	Close() error
	// String returns the store's URL, without anything secret.
	String() string
}

// What a store can answer; test with errors.Is.
var (
	// ErrNotFound: the store answered, and has nothing under that name.
	ErrNotFound = errors.New("not found")
	// ErrLocked: a person must unlock the store, or it waits for one.
	ErrLocked = errors.New("the store is locked")
	// ErrUnavailable: the store does not answer or cannot be written.
	ErrUnavailable = errors.New("the store is unavailable")
	// ErrSealed: the vault is there and is sealed: its operators must unseal it.
	ErrSealed = errors.New("the vault is sealed")
	// ErrLogin: the store did not let the agent in.
	ErrLogin = errors.New("the store refused the login")
	// ErrDenied: the store let the agent in, and not do this.
	ErrDenied = errors.New("the store does not allow it")
	// ErrBusy: the store answered that the entry is being changed just now.
	ErrBusy = errors.New("the entry is being changed")
	// ErrReadOnly: the store takes no changes.
	ErrReadOnly = errors.New("the store is read-only")
	// ErrNoKey: the key that opens the store is missing or was refused.
	ErrNoKey = errors.New("no key opens the store")
	// ErrClosed: Close was called. Whoever has the store's name opens it anew.
	ErrClosed = errors.New("the store is closed")
	// ErrBroken: the entry is there and cannot be used: truncated, altered, of
	// another store, sealed with another key, or without the fields that were
	// looked for. A new Put replaces it.
	ErrBroken = errors.New("the entry cannot be used")
)

// Error is how a store says no. It never contains a secret.
type Error struct {
	Store string // the store's URL: "keyring:"
	Op    string // what was being done: "read profile/invoices"
	Kind  error  // one of the sentinels
	Why   string // what was found; may be empty
	Todo  string // what a person can do about it; may be empty
	Err   error  // the cause; may be nil
}

// Error reads "keyring: read profile/invoices: the store is locked: …: what to do".
func (e *Error) Error() string {
	parts := []string{strings.TrimSuffix(e.Store, ":")}
	if e.Op != "" {
		parts = append(parts, e.Op)
	}
	parts = append(parts, e.Kind.Error())
	if e.Why != "" {
		parts = append(parts, e.Why)
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	if e.Todo != "" {
		parts = append(parts, e.Todo)
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// Options are what a store needs beside its configuration.
type Options struct {
	// Dir is the agent's own directory for sealed files. A store makes a
	// subdirectory, 0700, at its first Put. "sealed:" needs it always,
	// "keyring:" for values that are too large for the keyring.
	Dir string
	// Ephemeral allows "memory:".
	Ephemeral bool
	// Service is the keyring's name for the agent; empty means "keytender".
	Service string
	// Bootstrap returns the credential by which a shared store is logged in
	// to, if it was given for the server at origin (scheme://host[:port]). It
	// is asked at each login. nil: there is none.
	Bootstrap func(ctx context.Context, origin string) (Secret, error)
	// UserAgent is what shared stores are told of who asks.
	UserAgent string
	// Now is the wall clock; nil means time.Now.
	Now func() time.Time
}

func (o Options) filled() Options {
	if o.Service == "" {
		o.Service = "keytender"
	}
	if o.Now == nil {
		o.Now = func() time.Time { return time.Now().Round(0) }
	}
	return o
}

// Open returns the store that c describes. It does no I/O; Check tells whether
// the store answers. Open a keyring once a process: only calls on one Store
// wait for each other. An error about c is a *ConfigError, which names the key.
// The caller closes the store.
func Open(c Config, o Options) (Store, error) {
	o = o.filled()
	scheme, _, _ := strings.Cut(c.URL, ":")
	switch {
	case isShared(scheme):
		return openShared(scheme, c, o)
	case scheme == "keyring", scheme == "sealed", scheme == "memory":
		texts, err := openOwn(c, o)
		if err != nil {
			return nil, err
		}
		return own{texts}, nil
	}
	// Only the scheme is repeated: what follows it may hold a password.
	kinds := `"keyring:", "sealed:", "memory:", "` + strings.Join(sharedSchemes, `://", "`) + `://"`
	if !isScheme(scheme) || !strings.Contains(c.URL, ":") {
		return nil, wrong("url", "a store's address begins with one of %s", kinds)
	}
	return nil, wrong("url", "unknown kind of store %q: there are %s", scheme+":", kinds)
}

// CheckName reports whether name can be an entry's name in the store.
func (c Config) CheckName(name string) error {
	scheme, _, _ := strings.Cut(c.URL, ":")
	switch {
	case scheme == "hashicorp":
		return checkHashiCorpName(name)
	case scheme == "azure":
		return checkAzureName(name)
	case scheme == "cyberark-ccp":
		return checkCCPName(name)
	case isShared(scheme):
		return checkSharedName(name)
	}
	return CheckName(name)
}

// openOwn opens one of the agent's own stores.
func openOwn(c Config, o Options) (blobs, error) {
	o = o.filled()
	if scheme, rest, found := strings.Cut(c.URL, ":"); rest != "" {
		return nil, wrong("url", "nothing may follow %q", scheme+":")
	} else if !found {
		return nil, wrong("url", "write %q, with the colon", scheme+":")
	}
	known := map[string][]string{"keyring:": {"timeout"}, "sealed:": {"key", "timeout"}}
	if err := c.only(known[c.URL]...); err != nil {
		return nil, err
	}
	switch c.URL {
	case "keyring:":
		return openKeyring(c, o), nil
	case "sealed:":
		return openSealed(c, o)
	}
	if !o.Ephemeral {
		return nil, wrong("url", `"memory:" forgets everything at exit: pass --ephemeral if that is wanted`)
	}
	return newMemory(), nil
}

// isScheme follows RFC 3986 section 3.1, with a bound on the length.
func isScheme(s string) bool {
	if s == "" || len(s) > 32 || !isLower(s[0]|0x20) {
		return false
	}
	return strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789+-.") == ""
}

// subdir keeps the files of two kinds of store apart. Without Dir there is none.
func (o Options) subdir(name string) folder {
	if o.Dir == "" {
		return folder{}
	}
	return folder{filepath.Join(o.Dir, name)}
}
