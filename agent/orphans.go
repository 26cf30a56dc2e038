package agent

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"keytender/vault"
)

// cleanupLimit is how long removing entries from stores may take.
const cleanupLimit = 15 * time.Second

// errElsewhere: the store of that name is not the one that has the entry.
var errElsewhere = errors.New("the store that has it is not among those of config.yaml now")

// errShared: the entry is not the agent's alone any more, and so is not its to
// remove.
var errShared = errors.New("another profile uses it, or another program has changed it since")

// whyLeft says why an entry is left in its store.
func whyLeft(why error) string {
	if errors.Is(why, errElsewhere) || errors.Is(why, errShared) {
		return why.Error()
	}
	return explain(why).Description
}

// sweep removes what belongs to no profile, also when the caller has gone away
// meanwhile, and returns where entries are that are left, with why; they are
// tried again at the next sweep. The turn is held.
func (a *Agent) sweep(ctx context.Context) map[place]error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	gone, left := a.removeOrphans(ctx, a.ledger.held.Orphans)
	a.ledger.swept(gone)
	return left
}

// removeOrphans asks the stores and touches no state, so that it needs no turn;
// it returns those that are gone or not ours any more, and by place why they are
// left. Another store under the same name is not asked, and one that does not
// answer, or is locked, only once.
func (a *Agent) removeOrphans(ctx context.Context, list []orphan) (gone []orphan, left map[place]error) {
	left = map[place]error{}
	silent := map[string]error{}
	for _, o := range list {
		store, err := a.stores.get(o.Store)
		switch {
		case err != nil || store.home != o.Home:
			left[o.place()] = errElsewhere
			continue
		case silent[store.home] != nil:
			left[o.place()] = silent[store.home]
			continue
		}
		if err = store.Check(ctx); err != nil {
			silent[store.home] = err
		} else {
			err = a.removeOrphan(ctx, store, o)
		}
		if err != nil {
			left[o.place()] = err
		}
		if err == nil || errors.Is(err, errShared) {
			gone = append(gone, o)
		}
	}
	return gone, left
}

func (a *Agent) removeOrphan(ctx context.Context, store *watchedStore, o orphan) error {
	if !store.config.Shared() {
		return store.Delete(ctx, o.Entry)
	}
	store.Forget(o.Entry)
	found, err := store.Get(ctx, o.Entry)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		return nil
	case err != nil:
		return err
	case a.mark(found.Secret) != o.Mark || a.uses(store, o.Entry):
		return errShared
	}
	return store.Delete(ctx, o.Entry)
}

// uses tells whether the secret of a profile rests in that entry.
func (a *Agent) uses(store *watchedStore, entry string) bool {
	for _, p := range a.broker.catalog.Load().profiles {
		if its, err := a.stores.get(p.Store); err == nil && its.holds(p.Entry, store, entry) {
			return true
		}
	}
	return false
}

// mark is the HMAC of a secret, as the state keeps it.
func (a *Agent) mark(s vault.Secret) string { return hex.EncodeToString([]byte(a.granter.mark(s))) }
