package vault

import (
	"context"
	"sync"
)

// memory is the store of demo and tests: it forgets everything at exit.
type memory struct {
	mu      sync.Mutex
	entries map[string]Secret
}

func newMemory() *memory { return &memory{entries: map[string]Secret{}} }

func (m *memory) String() string { return "memory:" }

func (m *memory) Check(ctx context.Context) error { return ctx.Err() }

func (m *memory) Get(ctx context.Context, name string) (Secret, error) {
	if err := CheckName(name); err != nil {
		return Secret{}, err
	}
	if err := ctx.Err(); err != nil {
		return Secret{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.entries[name]
	if !ok {
		return Secret{}, &Error{Store: m.String(), Op: "read " + name, Kind: ErrNotFound}
	}
	return s, nil
}

func (m *memory) Put(ctx context.Context, name string, s Secret) error {
	if err := checkPut(name, s); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries[name] = s
	return nil
}

func (m *memory) Delete(ctx context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, name)
	return nil
}
