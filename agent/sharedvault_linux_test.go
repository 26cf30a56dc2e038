package agent

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"keytender/agent/orchestratortest"
	"keytender/vault"
)

// sharedVault is a FAKE of a vault that other programs read and write too. It
// deletes, which the fake Conjur does not, and lets the test do something before
// each question.
type sharedVault struct {
	mu      sync.Mutex
	entries map[string]vault.Entry
	before  func(op, name string) error // what it returns is the answer, unless nil
	closed  bool
}

// vaultConfig is the part of config.yaml for a vault that may be written; the
// address is only written down.
func vaultConfig(name, more string) string {
	return fmt.Sprintf("  %s: {url: \"conjur://%s.example/corp\", write: true, login: {method: api_key, username: host/robots}%s}\n", name, name, more)
}

// openTo, as more for vaultConfig, lets secrets of a vault go to s.
func openTo(s *orchestratortest.Server) string { return fmt.Sprintf(", origins: [%q]", s.Origin) }

// shares puts a fake vault in the place of the store of that name.
func (r *running) shares(t *testing.T, name string) *sharedVault {
	t.Helper()
	v := &sharedVault{entries: map[string]vault.Entry{}}
	s := r.Agent.stores
	s.mu.Lock()
	defer s.mu.Unlock()
	config, ok := s.config[name]
	if !ok {
		t.Fatalf("%s is no store", name)
	}
	s.open[name] = &watchedStore{Store: v, name: name, home: homeOf(name, config), config: config, now: s.now}
	return v
}

// does has before called ahead of each question.
func (v *sharedVault) does(before func(op, name string) error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.before = before
}

func (v *sharedVault) ask(op, name string) error {
	v.mu.Lock()
	before := v.before
	v.mu.Unlock()
	if before == nil {
		return nil
	}
	return before(op, name)
}

// write writes as another program does.
func (v *sharedVault) write(name, username, secret string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.entries[name] = vault.Entry{Username: username, Secret: vault.NewSecret(secret)}
}

// read is the user name and the secret of an entry, "" where there is none.
func (v *sharedVault) read(name string) (username, secret string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	e := v.entries[name]
	return e.Username, e.Secret.Reveal()
}

func (v *sharedVault) Get(ctx context.Context, name string) (vault.Entry, error) {
	if err := v.ask("get", name); err != nil {
		return vault.Entry{}, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	e, ok := v.entries[name]
	if !ok {
		return vault.Entry{}, &vault.Error{Store: v.String(), Op: "read " + name, Kind: vault.ErrNotFound}
	}
	return e, ctx.Err()
}

func (v *sharedVault) Put(ctx context.Context, name string, e vault.Entry) error {
	if err := v.ask("put", name); err != nil {
		return err
	}
	v.write(name, e.Username, e.Secret.Reveal())
	return ctx.Err()
}

func (v *sharedVault) Delete(ctx context.Context, name string) error {
	if err := v.ask("delete", name); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.entries, name)
	return ctx.Err()
}

func (v *sharedVault) Check(ctx context.Context) error         { return ctx.Err() }
func (v *sharedVault) Forget(string)                           {}
func (v *sharedVault) Previous(string) (_ vault.Entry, _ bool) { return }
func (v *sharedVault) String() string                          { return "conjur://fake.example/corp" }

func (v *sharedVault) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	return nil
}

// unavailable is what a vault answers that does not.
func unavailable(op string) error {
	return &vault.Error{Store: "conjur://fake.example/corp", Op: op, Kind: vault.ErrUnavailable, Why: "fake.example did not answer"}
}

// anOrchestrator is one that ends with the test.
func anOrchestrator(t *testing.T) *orchestratortest.Server {
	t.Helper()
	s := orchestratortest.New(orchestratortest.Options{})
	t.Cleanup(s.Close)
	return s
}
