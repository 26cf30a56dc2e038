package agent

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"keytender/agent/api"
	"keytender/agent/internal/state"
)

// ledger is what the agent's state knows: the paired profiles, and the
// entries in stores that belong to none. Every change is one atomic write.
type ledger struct {
	dir  *state.Dir
	held ledgerState
}

type ledgerState struct {
	Profiles []*profile `json:"profiles"`
	Orphans  []orphan   `json:"orphans,omitempty"`
	// Rotations are under way, or were cut off, by the profile's name.
	Rotations map[string]rotation `json:"rotations,omitempty"`
	// SecretIDs are by profile what its server calls the secret that is in use,
	// where a rotation made it.
	SecretIDs map[string]secretID `json:"secret_ids,omitempty"`
}

// secretID is what a server calls a secret, and the HMAC by which it is told
// whether that is still the one in use.
type secretID struct {
	ID   string `json:"id"`
	Mark string `json:"mark"`
}

// clone is a copy that can be changed. The profiles themselves are never
// changed once they are held.
func (s ledgerState) clone() ledgerState {
	return ledgerState{slices.Clone(s.Profiles), slices.Clone(s.Orphans), maps.Clone(s.Rotations), maps.Clone(s.SecretIDs)}
}

// orphan is an entry in a store that is to be removed.
type orphan struct {
	Store string `json:"store"`
	Home  string `json:"home"` // the store as it was when the entry was made
	Entry string `json:"entry"`
	// Mark is of what was written, or about to be, into a shared store: another
	// secret under that name is somebody else's, and stays.
	Mark string `json:"mark,omitempty"`
}

// place is where an entry is: one name can stand in several stores.
type place struct{ home, entry string }

func (o orphan) place() place   { return place{o.Home, o.Entry} }
func (p *profile) place() place { return place{p.Home, p.Entry} }

// openLedger reads the paired profiles from the state.
func openLedger(dir *state.Dir) (*ledger, error) {
	l := &ledger{dir: dir}
	if err := dir.Load("profiles", &l.held); err != nil {
		return nil, err
	}
	for _, p := range l.held.Profiles {
		p.Source = api.SourcePaired
		if err := p.settle(); err != nil {
			return nil, fmt.Errorf("read the paired profile %q: %w", p.Name, err)
		}
	}
	return l, nil
}

// expect lists an entry that is about to be made as one to be removed, until
// put makes it belong to a profile.
func (l *ledger) expect(o orphan) error {
	next := l.held.clone()
	next.Orphans = append(next.Orphans, o)
	return l.save(next)
}

// left tells whether what is in a place, by its mark, was put there for a profile
// that is gone.
func (l *ledger) left(at place, mark string) bool {
	return slices.ContainsFunc(l.held.Orphans, func(o orphan) bool { return o.place() == at && o.Mark == mark })
}

// put makes p live in the place of the profile of its name, whose entry
// becomes an orphan.
func (l *ledger) put(p *profile) error { return l.save(l.with(p)) }

func (l *ledger) with(p *profile) ledgerState {
	next := l.without(p.Name)
	next.Profiles = append(next.Profiles, p)
	next.Orphans = slices.DeleteFunc(next.Orphans, func(o orphan) bool { return o.place() == p.place() })
	return next
}

// remove takes p out; its entry becomes an orphan, and so does what a rotation of
// it has staged.
func (l *ledger) remove(p *profile, staged orphan) error {
	next := l.without(p.Name)
	next.Orphans = append(next.Orphans, staged)
	delete(next.SecretIDs, p.Name)
	delete(next.Rotations, p.Name)
	return l.save(next)
}

func (l *ledger) without(name string) ledgerState {
	next := l.held.clone()
	next.Profiles = nil
	for _, p := range l.held.Profiles {
		if p.Name == name && p.Adopted { // not ours to remove
			continue
		}
		if p.Name == name {
			next.Orphans = append(next.Orphans, orphan{p.Store, p.Home, p.Entry, p.Wrote})
			continue
		}
		next.Profiles = append(next.Profiles, p)
	}
	return next
}

// swept strikes out orphans that are gone. If that cannot be saved they are
// swept again, which changes nothing.
func (l *ledger) swept(gone []orphan) {
	if len(gone) == 0 {
		return
	}
	next := l.held.clone()
	next.Orphans = slices.DeleteFunc(next.Orphans, func(o orphan) bool { return slices.Contains(gone, o) })
	_ = l.save(next)
}

// rotating notes that a rotation begins; what it stages belongs to it.
func (l *ledger) rotating(name string, r rotation) error {
	next := l.held.clone()
	if next.Rotations == nil {
		next.Rotations = map[string]rotation{}
	}
	next.Rotations[name] = r
	next.Orphans = slices.DeleteFunc(next.Orphans, func(o orphan) bool { return o.Entry == stageOf(name) })
	return l.save(next)
}

// switched notes that a rotation's secret is in use; p, unless nil, takes the
// place of the paired profile of that name.
func (l *ledger) switched(name string, r rotation, made secretID, p *profile) error {
	next := l.held.clone()
	if p != nil {
		next = l.with(p)
	}
	r.Switched = true
	next.Rotations[name] = r
	if next.SecretIDs == nil {
		next.SecretIDs = map[string]secretID{}
	}
	next.SecretIDs[name] = made
	return l.save(next)
}

// rotated notes that a rotation is over.
func (l *ledger) rotated(name string) error {
	next := l.held.clone()
	delete(next.Rotations, name)
	return l.save(next)
}

func (l *ledger) save(next ledgerState) error {
	if err := l.dir.Save("profiles", next); err != nil {
		return &api.Error{Code: api.StoreUnavailable, Description: "the agent's state cannot be written (" + err.Error() + ")",
			Hint: "free space in its directory, or make it writable, and try again; nothing was changed"}
	}
	l.held = next
	return nil
}

// dropMemory takes out the profiles whose secret was in memory, and with it
// ended with the agent that held it.
func (l *ledger) dropMemory() error {
	next := l.held.clone()
	next.Profiles = nil
	for _, p := range l.held.Profiles {
		if !strings.HasSuffix(p.Home, " memory:") {
			next.Profiles = append(next.Profiles, p)
		}
	}
	if len(next.Profiles) == len(l.held.Profiles) {
		return nil
	}
	return l.save(next)
}
