package agent

import (
	"context"
	"errors"
	"fmt"

	"keytender/agent/api"
	"keytender/agent/internal/peer"
	"keytender/vault"
)

// migrationSteps is how many steps a migration tells of.
const migrationSteps = 4

// migrate moves the secret of a paired profile to another store that
// config.yaml names: written, read back and compared, switched to in one write
// of the state, and only then removed from where it was. Cut off at any point,
// the secret rests in the old store or the new one, and what was left over is
// removed later.
func (a *Agent) migrate(ctx context.Context, caller peer.Caller, name string, m api.Migration, step func(api.Step)) (api.Moved, error) {
	old, next, target, err := a.migration(name, m)
	if err != nil {
		return api.Moved{}, err
	}
	if next == nil {
		return api.Moved{Profile: a.profileStatus(old)}, nil
	}
	tell := teller(step, migrationSteps)
	if err := a.turnFor(ctx, name, old); err != nil {
		return api.Moved{}, err
	}
	defer a.admin.give()
	held, err := a.readAnew(ctx, old) // in the turn, so that nobody gives another one after it was read
	if err != nil {
		return api.Moved{}, err
	}
	tell(1, "secret of %s read from %s", name, old.storeName())
	if err := staysUsable(next, target, held); err != nil {
		return api.Moved{}, err
	}
	if err := a.writeAndCompare(ctx, next, old, target, held); err != nil {
		a.sweep(ctx)
		return api.Moved{}, err
	}
	tell(2, "secret written to %s, read back and found the same", next.Store)
	err = a.recordAct(caller, "migrate", name, fmt.Sprintf("from %s to %s", old.storeName(), next.storeName()))
	if err == nil {
		err = a.ledger.put(next)
	}
	if err != nil {
		a.sweep(ctx)
		return api.Moved{}, err
	}
	a.publish()
	tell(3, "%s takes its secret from %s from now on", name, next.Store)
	moved := api.Moved{Changed: true, Left: a.leaveBehind(ctx, old)}
	if len(moved.Left) == 0 {
		tell(4, "secret removed from %s", old.storeName())
	}
	moved.Profile = a.profileStatus(next)
	return moved, nil
}

// migration is the profile as it is and as it will be; next is nil where the
// secret rests in that store already.
func (a *Agent) migration(name string, m api.Migration) (old, next *profile, target *watchedStore, err error) {
	if old, err = a.broker.catalog.Load().pick(name); err != nil {
		return nil, nil, nil, err
	}
	if !a.stores.named(m.Store) {
		return nil, nil, nil, wrong("store", "%q: a secret moves only to a store that config.yaml names (%s)", m.Store, a.stores.names())
	}
	if target, err = a.stores.get(m.Store); err != nil {
		return nil, nil, nil, err
	}
	if target.config.Shared() && !target.config.Write {
		return nil, nil, nil, &api.Error{Code: api.InvalidRequest, Field: "store", Profile: name, Description: m.Store + " is read-only",
			Hint: "say write: true at the store in config.yaml and reload, or copy the secret there by other means and pair with --entry"}
	}
	moved := *old
	moved.Store, moved.Home, moved.Entry, moved.Adopted, moved.Wrote = m.Store, target.home, m.Entry, false, ""
	if old.Source == api.SourceDeclared {
		return nil, nil, nil, &api.Error{Code: api.InvalidRequest, Profile: name, Field: "name",
			Description: name + " is declared in config.yaml, which belongs to people",
			Hint:        fmt.Sprintf("write there \"secret: %s/%s\", reload, and give the secret with \"keytender secret set %s\"", m.Store, name, name)}
	}
	if old.storeName() == moved.storeName() && (m.Entry == "" || m.Entry == old.Entry) {
		return old, nil, nil, nil
	}
	return old, &moved, target, moved.checkEntry(target)
}

// staysUsable returns nil if the secret may be sent where the profile sends it both
// from where it is and from where it will be: what is bound in the one store must not
// come free by way of another.
func staysUsable(next *profile, target *watchedStore, held credential) error {
	if err := held.mayGoTo(next.Found.TokenEndpoint); err != nil {
		return err
	}
	there, err := next.bound(held, target)
	if err != nil {
		return err
	}
	return there.mayGoTo(next.Found.TokenEndpoint)
}

// writeAndCompare puts the secret into its new place and reads it back from
// there.
func (a *Agent) writeAndCompare(ctx context.Context, next, old *profile, target *watchedStore, held credential) error {
	if _, err := a.place(ctx, next, old, target, held); err != nil {
		return err
	}
	if err := target.Put(ctx, next.Entry, held.toKeep()); err != nil {
		return err
	}
	target.Forget(next.Entry)
	back, err := target.Get(ctx, next.Entry)
	if err != nil {
		return err
	}
	if !back.Secret.Equal(held.secret) || back.Username != held.clientID {
		return &vault.Error{Store: target.String(), Op: "read back " + next.Entry, Kind: vault.ErrBroken,
			Why: "it is not what was written", Todo: "look at who else writes that entry; the secret stays where it was"}
	}
	return nil
}

// leaveBehind removes the secret from where it was, and tells what is left.
func (a *Agent) leaveBehind(ctx context.Context, old *profile) []string {
	if old.Adopted {
		return []string{fmt.Sprintf("the entry %s in %s, which was there before Keytender: remove it there if nobody else reads it", old.Entry, old.storeName())}
	}
	why := a.sweep(ctx)[old.place()]
	if errors.Is(why, errShared) {
		return []string{fmt.Sprintf("the entry %s in %s: %s", old.Entry, old.storeName(), whyLeft(why))}
	}
	if why != nil {
		return []string{fmt.Sprintf("the entry %s in %s (%s): the agent tries again at each start and pairing", old.Entry, old.storeName(), whyLeft(why))}
	}
	return nil
}
