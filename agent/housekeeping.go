package agent

import (
	"context"
	"slices"
	"time"
)

// lookAround asks the default store how it is, for status, and removes what
// belongs to no profile any more. Nobody waits for it: a store may be slow.
func (a *Agent) lookAround(ctx context.Context) {
	if store, err := a.stores.get(defaultStoreName); err == nil {
		if err := store.Check(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("the default store does not answer", "store", store.String(), "error", err)
		}
	}
	if a.admin.take(ctx) != nil {
		return
	}
	orphans := slices.Clone(a.ledger.held.Orphans)
	a.admin.give()
	gone, _ := a.removeOrphans(ctx, orphans) // an entry that is being made now is not among them
	if a.admin.take(ctx) != nil {
		return
	}
	defer a.admin.give()
	a.ledger.swept(gone)
}

// storeLook is how often the stores on the network are asked how they are.
const storeLook = 5 * time.Minute

// watchStores asks the stores on the network that profiles use how they are, so
// that status can tell it before a token has to be renewed.
func (a *Agent) watchStores(ctx context.Context) {
	each := time.NewTicker(storeLook)
	defer each.Stop()
	for {
		for _, store := range a.storesInUse() {
			if !store.config.Shared() || store.barred() != nil {
				continue
			}
			if err := store.Check(ctx); err != nil && ctx.Err() == nil {
				a.log.Warn("a store does not serve; tokens that are still valid are given out", "store", store.name, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-each.C:
		}
	}
}
