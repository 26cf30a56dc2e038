package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"keytender/agent/internal/policy"
	"keytender/vault"
)

// defaultStoreName is the name of the store that profiles use which name none.
const defaultStoreName = "default"

// schemes that a pairing may name without config.yaml. They hold no address
// and no path, so nobody can have the agent open one through a door.
const bareSchemes = "keyring:, sealed:, memory:"

// checkStore checks a store of config.yaml; nothing is opened yet.
func checkStore(name string, c vault.Config) *wrongValue {
	at := "$.stores.'" + name + "'"
	if err := policy.CheckName(name); err != nil {
		return &wrongValue{at, fmt.Sprintf("store %q: %v", name, err)}
	}
	if name == defaultStoreName && c.Shared() {
		return &wrongValue{at + ".url", "the default store is one of the agent's own (" + bareSchemes + "): what rotates and the credentials of other stores rest there"}
	}
	store, err := vault.Open(c, vault.Options{Dir: os.TempDir(), Ephemeral: true})
	if bad, ok := errors.AsType[*vault.ConfigError](err); ok {
		return &wrongValue{at + "." + bad.Field, fmt.Sprintf("store %q: %v", name, bad)}
	}
	if err == nil {
		err = store.Close()
	}
	if err != nil {
		return &wrongValue{at, fmt.Sprintf("store %q: %v", name, err)}
	}
	return nil
}

// stores are the open stores by name: those of config.yaml, the default, and
// the bare schemes as they are asked for.
type stores struct {
	options vault.Options
	now     func() time.Time
	log     *slog.Logger

	mu     sync.Mutex
	config map[string]vault.Config
	open   map[string]*watchedStore
}

func newStores(options vault.Options, fallback vault.Config, c Config, log *slog.Logger) *stores {
	s := &stores{options: options, now: options.Now, log: log, open: map[string]*watchedStore{}}
	s.configure(c, fallback)
	return s
}

// configure takes over the stores of a configuration; those that are
// unchanged stay open.
func (s *stores) configure(c Config, fallback vault.Config) {
	s.mu.Lock()
	config := maps.Clone(c.Stores)
	if config == nil {
		config = map[string]vault.Config{}
	}
	if _, named := config[defaultStoreName]; !named {
		config[defaultStoreName] = fallback
	}
	var ended []*watchedStore
	for name, old := range s.config {
		if store := s.open[name]; store != nil && !reflect.DeepEqual(config[name], old) {
			ended = append(ended, store)
			delete(s.open, name)
		}
	}
	s.config = config
	s.mu.Unlock()
	s.end(ended)
}

// reopen has the next question to a store log in anew.
func (s *stores) reopen(name string) {
	s.mu.Lock()
	store := s.open[name]
	delete(s.open, name)
	s.mu.Unlock()
	if store != nil {
		s.end([]*watchedStore{store})
	}
}

// close closes every store.
func (s *stores) close() error {
	s.mu.Lock()
	ended := slices.Collect(maps.Values(s.open))
	clear(s.open)
	s.mu.Unlock()
	s.end(ended)
	return nil
}

// end closes stores that are in use no more. What does not end its login well
// ends it with the login's own time.
func (s *stores) end(stores []*watchedStore) {
	for _, store := range stores {
		if err := store.Close(); err != nil {
			s.log.Warn("a store was not closed well", "store", store.name, "error", err)
		}
	}
}

// named reports whether config.yaml, or the mode's default, gives a store that
// name.
func (s *stores) named(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.config[name]
	return ok
}

// names are those stores, for people.
func (s *stores) names() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(slices.Sorted(maps.Keys(s.config)), ", ")
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
		config, named = vault.Config{URL: name}, true
	}
	if !named {
		known := slices.Sorted(maps.Keys(s.config))
		return nil, wrong("store", "%q is no store: use one that config.yaml names (%s), or %s",
			name, strings.Join(known, ", "), bareSchemes)
	}
	store, err := vault.Open(config, s.optionsOf(name))
	if err != nil {
		return nil, wrong("store", "%w", err)
	}
	s.open[name] = &watchedStore{Store: store, name: name, home: homeOf(name, config), config: config, now: s.now}
	return s.open[name], nil
}

// homeOf tells stores apart, for the state: what was paired with one is not in
// another that has its name now.
func homeOf(name string, c vault.Config) string {
	home := name + " " + c.URL
	if c.Namespace != "" {
		home += " namespace " + c.Namespace
	}
	return home
}

func (s *stores) optionsOf(name string) vault.Options {
	options := s.options
	options.Dir = filepath.Join(options.Dir, strings.TrimSuffix(name, ":"))
	options.Bootstrap = func(ctx context.Context, origin string) (vault.Secret, error) { return s.bootstrap(ctx, name, origin) }
	return options
}

// bootstrapEntry is where in the default store the credential of the store of
// that name rests.
func bootstrapEntry(name string) string { return "store/" + name }

// bootstrap is the credential by which the store of that name is logged in to,
// if it was given for the server at origin.
func (s *stores) bootstrap(ctx context.Context, name, origin string) (vault.Secret, error) {
	fallback, err := s.get(defaultStoreName)
	if err != nil {
		return vault.Secret{}, err
	}
	entry, err := fallback.Get(ctx, bootstrapEntry(name))
	if err != nil {
		return vault.Secret{}, err
	}
	held := credential{secret: entry.Secret, origins: entry.Origins}
	if err := held.mayGoTo(origin); err != nil {
		return vault.Secret{}, &vault.Error{Store: name, Op: "log in", Kind: vault.ErrLogin, Why: err.Error() + ", so nothing was sent",
			Todo: "if the store's new address is right, give its credential for it: \"keytender secret set store/" + name + "\""}
	}
	return entry.Secret, nil
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
