package session

import "context"

// Entries is how many keys something is kept about.
func (s *Sessions) Entries() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.entries)
}

// Overtaken is a caller who has found the entry of a key when f intervenes. It
// tells whether the caller, before looking again, got or began anything.
func (s *Sessions) Overtaken(ctx context.Context, k Key, f func()) bool {
	e, err := s.entry(k)
	if err != nil {
		return true
	}
	f()
	l, flight, err := s.settle(ctx, e, Want{})
	return l != nil || flight != nil || err != nil
}
