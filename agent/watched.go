package agent

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/door"
	"keytender/vault"
)

// watchedStore is a store that remembers how it last answered, so that status
// need not ask it.
type watchedStore struct {
	vault.Store
	name   string
	home   string // which store this is, wherever its key lies now: another one has other entries
	config vault.Config
	now    func() time.Time

	mu    sync.Mutex
	state string
	since time.Time
	err   error
	// wait is how long after a refused login Get does not log in again, and
	// until when: servers lock out who is wrong too often.
	wait  time.Duration
	until time.Time
}

// After a refused login it is tried again in a minute, and then each time in twice
// as long. A credential that is set is tried at once, and so is what doctor and retry ask for.
const (
	firstLogin  = time.Minute
	seldomLogin = 30 * time.Minute
)

// holds tells whether an entry of that name in other is the one in w: two names
// may stand for one vault or a part of it, and some vaults do not tell upper from
// lower case.
func (w *watchedStore) holds(entry string, other *watchedStore, its string) bool {
	if !w.config.Shared() || !other.config.Shared() {
		return w == other && entry == its
	}
	whole := func(c vault.Config, entry string) string { return strings.TrimRight(c.URL, "/") + "/" + entry }
	return w.config.Namespace == other.config.Namespace && strings.EqualFold(whole(w.config, entry), whole(other.config, its))
}

// slowAnswer is from where on a store is called slow.
const slowAnswer = 3 * time.Second

func (w *watchedStore) Get(ctx context.Context, entry string) (vault.Entry, error) {
	if err := w.barred(); err != nil {
		return vault.Entry{}, err
	}
	began := w.now()
	found, err := w.Store.Get(ctx, entry)
	return found, w.note(began, err)
}

func (w *watchedStore) Put(ctx context.Context, entry string, e vault.Entry) error {
	began := w.now()
	return w.note(began, w.Store.Put(ctx, entry, e))
}

func (w *watchedStore) Delete(ctx context.Context, entry string) error {
	began := w.now()
	return w.note(began, w.Store.Delete(ctx, entry))
}

func (w *watchedStore) Check(ctx context.Context) error {
	began := w.now()
	return w.note(began, w.Store.Check(ctx))
}

// barred is the refusal of the login while it is not tried again, else nil.
func (w *watchedStore) barred() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if left := w.until.Sub(w.now()); left > 0 && left <= w.wait {
		return w.err
	}
	return nil
}

// allow has the login tried at the next Get, whatever was refused.
func (w *watchedStore) allow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wait, w.until = 0, time.Time{}
}

// note remembers what err says of the store, and returns it.
func (w *watchedStore) note(began time.Time, err error) error {
	err = named(w.name, w.config, err)
	state := stateOf(err)
	switch {
	case state == "":
		return err
	case state == api.StoreOK && w.now().Sub(began) > slowAnswer:
		state = api.StoreSlow
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if state != w.state {
		w.state, w.since = state, w.now().UTC()
	}
	w.wait = w.nextLogin(state)
	w.until = w.now().Add(w.wait)
	w.err = nil
	if state != api.StoreOK && state != api.StoreSlow {
		w.err = err
	}
	return err
}

// nextLogin is how long the login is not to be tried after an answer of that
// state. The mu is held.
func (w *watchedStore) nextLogin(state string) time.Duration {
	switch {
	case state != api.StoreRefused:
		return 0
	case w.wait == 0:
		return firstLogin
	}
	return min(2*w.wait, seldomLogin)
}

// named puts the name that config.yaml gives a shared store into what the store
// says, which knows of its address alone.
func named(name string, c vault.Config, err error) error {
	said, ok := errors.AsType[*vault.Error](err)
	if !ok || !c.Shared() || said.Store != c.URL {
		return err
	}
	again := *said
	again.Store = name + " (" + c.URL + ")"
	again.Todo = strings.ReplaceAll(said.Todo, "store/NAME", "store/"+name)
	if again.Todo == "" && errors.Is(err, vault.ErrLogin) {
		again.Todo = `give its credential again: "keytender secret set store/` + name + `"`
	}
	if again.Todo == "" && errors.Is(err, vault.ErrNotFound) {
		again.Todo = "make the entry there, or name another one"
	}
	return &again
}

// stateOf is what an answer says of its store, or "" where nobody waited for
// one.
func stateOf(err error) string {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, vault.ErrClosed):
		return ""
	case errors.Is(err, vault.ErrLocked):
		return api.StoreLocked
	case errors.Is(err, vault.ErrSealed):
		return api.StoreSealed
	case errors.Is(err, vault.ErrLogin):
		return api.StoreRefused
	case err == nil, ofEntry(err):
		return api.StoreOK // it answered
	}
	return api.StoreUnreachable
}

// ofEntry tells whether err is a store's word on one entry, and says nothing of
// the store.
func ofEntry(err error) bool {
	for _, kind := range []error{vault.ErrNotFound, vault.ErrDenied, vault.ErrReadOnly, vault.ErrBroken, vault.ErrBusy} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

func (w *watchedStore) status() api.StoreStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	status := api.StoreStatus{Name: w.name, URL: w.String(), State: w.state, Since: w.since}
	if w.err != nil {
		status.Error = door.Explain(w.err)
	}
	return status
}
