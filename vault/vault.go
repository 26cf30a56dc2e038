// Package vault keeps secrets at rest.
//
//	name, Secret ─► Store ─┬─ keyring:  the OS keyring ── what is too large for it ─┐
//	                       ├─ sealed:   a file an entry, encrypted to a key ◄───────┘
//	                       └─ memory:   gone at exit
//
// A store either does what it was asked or returns an error that says why and
// what to do. None ever turns to another store or to plain text instead.
package vault

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Store keeps secrets under names that CheckName accepts. Its methods may be
// called by many goroutines. Each refuses a bad name, and returns the
// context's error where the context has ended before the work began; the
// other errors are an *Error, whose Kind is one of the sentinels below.
type Store interface {
	// Get returns the secret under name, or ErrNotFound.
	Get(ctx context.Context, name string) (Secret, error)
	// Put stores s under name, in place of what was there. It is as durable
	// as the store can make it when Put returns. An empty secret is refused.
	Put(ctx context.Context, name string, s Secret) error
	// Delete removes what is under name. Nothing there is no error.
	Delete(ctx context.Context, name string) error
	// Check reports whether the store answers and can be opened. It changes
	// nothing, and asks no person for anything.
	Check(ctx context.Context) error
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
	// ErrReadOnly: the store takes no changes.
	ErrReadOnly = errors.New("the store is read-only")
	// ErrNoKey: the key that opens the store is missing or was refused.
	ErrNoKey = errors.New("no key opens the store")
	// ErrBroken: the entry is there and cannot be opened: truncated, altered,
	// of another store, or sealed with another key. A new Put replaces it.
	ErrBroken = errors.New("the entry cannot be opened")
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

// Options are what a store needs beside its URL.
type Options struct {
	// Dir is the agent's own directory for sealed files. A store makes a
	// subdirectory, 0700, at its first Put. "sealed:" needs it always,
	// "keyring:" for values that are too large for the keyring.
	Dir string
	// Key names the key of "sealed:": "credential" (or empty) for the systemd
	// credential keytender-seal, "keyring", or "file:" and an absolute path.
	Key string
	// Ephemeral allows "memory:".
	Ephemeral bool
	// Timeout bounds a call that waits for the keyring; 0 means 10 s.
	Timeout time.Duration
	// Service is the keyring's name for the agent; empty means "keytender".
	Service string
}

// Open returns the store that rawURL names: "keyring:", "sealed:" or
// "memory:". It does no I/O; Check tells whether the store answers. Open a
// keyring once a process: only calls on one Store wait for each other.
func Open(rawURL string, o Options) (Store, error) {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Service == "" {
		o.Service = "keytender"
	}
	switch rawURL {
	case "keyring:":
		return openKeyring(o), nil
	case "sealed:":
		return openSealed(o)
	case "memory:":
		if !o.Ephemeral {
			return nil, errors.New(`open the store "memory:": it forgets everything at exit: pass --ephemeral if that is wanted`)
		}
		return newMemory(), nil
	}
	// Only the scheme is repeated: what follows it may hold a password.
	scheme, rest, found := strings.Cut(rawURL, ":")
	switch scheme {
	case "keyring", "sealed", "memory":
		if found && rest != "" {
			return nil, fmt.Errorf("open a store: nothing may follow %q", scheme+":")
		}
		return nil, fmt.Errorf("open a store: write %q, with the colon", scheme+":")
	}
	if !found || !isScheme(scheme) {
		return nil, errors.New(`open a store: its address begins with "keyring:", "sealed:" or "memory:"`)
	}
	return nil, fmt.Errorf(`open a store: unknown kind %q: there are "keyring:", "sealed:" and "memory:"`, scheme+":")
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
