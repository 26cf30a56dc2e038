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
}

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
	w.err = nil
	if state != api.StoreOK && state != api.StoreSlow {
		w.err = err
	}
	return err
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
