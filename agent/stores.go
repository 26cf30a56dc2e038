package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/door"
	"keytender/agent/internal/policy"
	"keytender/vault"
)

// defaultStoreName is the name of the store that profiles use which name none.
const defaultStoreName = "default"

// schemes that a pairing may name without config.yaml. They hold no address
// and no path, so nobody can have the agent open one through a door.
const bareSchemes = "keyring:, sealed:, memory:"

func (s StoreConfig) check(name string) error {
	if err := policy.CheckName(name); err != nil {
		return fmt.Errorf("store %q: %w", name, err)
	}
	if s.URL == "" {
		return fmt.Errorf(`store %q: give its url, such as "keyring:"`, name)
	}
	_, err := vault.Open(s.URL, vault.Options{Dir: os.TempDir(), Key: s.Key, Ephemeral: true}) // opens no file yet
	return err
}

// stores are the open stores by name: those of config.yaml, the default, and
// the bare schemes as they are asked for.
type stores struct {
	options vault.Options
	now     func() time.Time

	mu     sync.Mutex
	config map[string]StoreConfig
	open   map[string]*watchedStore
}

func newStores(options vault.Options, fallback StoreConfig, c Config, now func() time.Time) *stores {
	s := &stores{options: options, now: now, open: map[string]*watchedStore{}}
	s.configure(c, fallback)
	return s
}

// configure takes over the stores of a configuration; those that are
// unchanged stay open.
func (s *stores) configure(c Config, fallback StoreConfig) {
	s.mu.Lock()
	defer s.mu.Unlock()
	config := maps.Clone(c.Stores)
	if config == nil {
		config = map[string]StoreConfig{}
	}
	if _, named := config[defaultStoreName]; !named {
		config[defaultStoreName] = fallback
	}
	for name, old := range s.config {
		if config[name] != old {
			delete(s.open, name)
		}
	}
	s.config = config
}

// get is the store of a name, a bare scheme, or, for "", the default.
func (s *stores) get(name string) (*watchedStore, error) {
	if name == "" {
		name = defaultStoreName
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if store, ok := s.open[name]; ok {
		return store, nil
	}
	config, named := s.config[name]
	if !named && slices.Contains(strings.Split(bareSchemes, ", "), name) {
		config, named = StoreConfig{URL: name}, true
	}
	if !named {
		known := slices.Sorted(maps.Keys(s.config))
		return nil, wrong("store", "%q is no store: use one that config.yaml names (%s), or %s",
			name, strings.Join(known, ", "), bareSchemes)
	}
	options := s.options
	options.Key = config.Key
	options.Dir = filepath.Join(options.Dir, strings.TrimSuffix(name, ":"))
	store, err := vault.Open(config.URL, options)
	if err != nil {
		return nil, wrong("store", "%w", err)
	}
	s.open[name] = &watchedStore{name: name, home: name + " " + config.URL, store: store, now: s.now}
	return s.open[name], nil
}

// seen are the stores that are open, by name.
func (s *stores) seen() []*watchedStore {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*watchedStore
	for _, name := range slices.Sorted(maps.Keys(s.open)) {
		list = append(list, s.open[name])
	}
	return list
}

// watchedStore is a store that remembers how it last answered, so that status
// need not ask it.
type watchedStore struct {
	name  string
	home  string // which store this is, wherever its key lies now: another one has other entries
	store vault.Store
	now   func() time.Time

	mu    sync.Mutex
	state string
	since time.Time
	err   error
}

func (w *watchedStore) String() string { return w.store.String() }

func (w *watchedStore) Get(ctx context.Context, entry string) (vault.Secret, error) {
	secret, err := w.store.Get(ctx, entry)
	return secret, w.note(err)
}

func (w *watchedStore) Put(ctx context.Context, entry string, s vault.Secret) error {
	return w.note(w.store.Put(ctx, entry, s))
}

func (w *watchedStore) Delete(ctx context.Context, entry string) error {
	return w.note(w.store.Delete(ctx, entry))
}

func (w *watchedStore) Check(ctx context.Context) error { return w.note(w.store.Check(ctx)) }

// note remembers what err says of the store, and returns it.
func (w *watchedStore) note(err error) error {
	state := api.StoreOK
	switch {
	case err == nil, errors.Is(err, vault.ErrNotFound), errors.Is(err, context.Canceled):
		// the store answered, or was not waited for
	case errors.Is(err, vault.ErrLocked):
		state = api.StoreLocked
	default:
		state = api.StoreUnreachable
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if state != w.state {
		w.state, w.since = state, w.now().UTC()
	}
	w.err = nil
	if state != api.StoreOK {
		w.err = err
	}
	return err
}

func (w *watchedStore) status() api.StoreStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	status := api.StoreStatus{Name: w.name, URL: w.store.String(), State: w.state, Since: w.since}
	if w.err != nil {
		status.Error = door.Explain(w.err)
	}
	return status
}
