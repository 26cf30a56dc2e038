package agent

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/peer"
	"keytender/vault"
)

// keep stores a secret that somebody gave and then makes the profile live in one
// write of the state, which until then lists a new entry as one to be removed: so
// that a crash at any point leaves the old pairing or the new one, and in the end
// no entry without a profile. Where a shared entry gets another secret, what fails
// puts the old one back. event is how the record calls it.
func (a *Agent) keep(ctx context.Context, caller peer.Caller, event string, p, before *profile, store *watchedStore, held credential) (err error) {
	if err := a.turnFor(ctx, p.Name, before); err != nil {
		return err
	}
	defer a.admin.give()
	p.Home = store.home
	p.SecretAt = a.now().UTC().Truncate(time.Second)
	if given := held.entry.Secret.IsZero(); given {
		old, failed := a.place(ctx, p, before, store, held)
		if failed != nil {
			return failed
		}
		entry := held.toKeep()
		if !old.Secret.IsZero() {
			entry = held.toReplace(old, before.ClientID)
		}
		defer func() { a.undo(ctx, err, p, store, old) }()
		if err := store.Put(ctx, p.Entry, entry); err != nil {
			return err
		}
	}
	if err := a.recordAct(caller, event, p.Name, p.Found.TokenEndpoint); err != nil {
		return err
	}
	if err := a.ledger.put(p); err != nil {
		return err
	}
	a.publish()
	if before != nil {
		a.sweep(ctx)
	}
	return nil
}

// undo takes back what keep has written, if it failed.
func (a *Agent) undo(ctx context.Context, failed error, p *profile, store *watchedStore, old vault.Entry) {
	switch {
	case failed == nil:
		return
	case old.Secret.IsZero():
		a.sweep(ctx)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	if err := store.Put(ctx, p.Entry, old); err != nil {
		a.log.Error("the secret that was replaced could not be put back", "profile", p.Name, "store", store.name, "entry", p.Entry, "error", err)
	}
}

// place finds the entry for a secret that is about to be stored, and lists it
// as one to be removed until its profile is live. In a shared store it has the
// name that people gave it, or the profile's; what is there already stays, unless
// it was put there for this profile, which old then is, or is left of one that is
// gone.
func (a *Agent) place(ctx context.Context, p, before *profile, store *watchedStore, held credential) (old vault.Entry, err error) {
	if !store.config.Shared() {
		p.Entry = newEntry(p.Name)
		return old, a.ledger.expect(orphan{Store: p.Store, Home: p.Home, Entry: p.Entry})
	}
	p.Entry = cmp.Or(p.Entry, p.Name)
	if err := p.checkEntry(store); err != nil {
		return old, err
	}
	own := before != nil && before.place() == p.place()
	if own {
		p.Adopted = before.Adopted
	}
	if !p.Adopted {
		p.Wrote = a.mark(held.secret)
	}
	store.Forget(p.Entry)
	found, err := store.Get(ctx, p.Entry)
	switch {
	case err == nil && own:
		return found, nil
	case errors.Is(err, vault.ErrNotFound), own && errors.Is(err, vault.ErrBroken), err == nil && a.ledger.left(p.place(), a.mark(found.Secret)):
		return old, a.ledger.expect(orphan{p.Store, p.Home, p.Entry, p.Wrote})
	case err != nil:
		return old, err
	}
	return old, &api.Error{Code: api.AlreadyPaired, Profile: p.Name, Field: "entry", Description: store.name + " has an entry " + p.Entry + " already, which Keytender did not make",
		Hint: "give no secret, and the one that is there is used; or name another entry with --entry"}
}

// newEntry is the name of a new entry in a store of the agent's own.
func newEntry(profile string) string {
	return "profile/" + profile + "/" + strings.ToLower(rand.Text()[:10])
}

// turnFor takes the turn for a change to a profile, unless the profile is not
// any more what it was when the change began: a proof takes time.
func (a *Agent) turnFor(ctx context.Context, name string, before *profile) error {
	if err := a.admin.take(ctx); err != nil {
		return err
	}
	if a.broker.catalog.Load().profiles[name] == before {
		return nil
	}
	a.admin.give()
	return &api.Error{Code: api.AlreadyPaired, Profile: name, Field: "name", Description: name + " was changed by somebody else meanwhile", Hint: "look at it and try again"}
}

// unpair forgets a paired profile: its place in the state first, so that it
// serves no more, then its secret.
func (a *Agent) unpair(ctx context.Context, caller peer.Caller, name string) error {
	if err := a.admin.take(ctx); err != nil {
		return err
	}
	defer a.admin.give()
	p, err := a.broker.catalog.Load().pick(name)
	if err != nil {
		return err
	}
	if p.Source == api.SourceDeclared {
		return &api.Error{Code: api.InvalidRequest, Profile: name, Description: name + " is declared in config.yaml, which belongs to people", Hint: "remove it there"}
	}
	fallback, err := a.stores.get("")
	if err != nil {
		return err
	}
	if err := a.recordAct(caller, "unpair", name, ""); err != nil {
		return err
	}
	if err := a.ledger.remove(p, orphan{Store: fallback.name, Home: fallback.home, Entry: stageOf(p.Name)}); err != nil {
		return err
	}
	a.publish()
	if why := a.sweep(ctx)[p.place()]; why != nil && !errors.Is(why, errShared) {
		return &api.Error{Code: api.StoreUnavailable, Profile: name,
			Description: name + " is forgotten, but its secret still rests in " + p.storeName() + ": " + whyLeft(why),
			Hint:        "the agent tries again at each start and pairing; or remove the entry " + p.Entry + " there yourself"}
	}
	return nil
}

// setSecret replaces the secret of a profile, once a token has proven it.
func (a *Agent) setSecret(ctx context.Context, caller peer.Caller, name, value string) error {
	if store, ok := strings.CutPrefix(name, storePrefix); ok {
		return a.enroll(ctx, caller, store, value)
	}
	old, err := a.broker.catalog.Load().pick(name)
	if err != nil {
		return err
	}
	store, err := a.stores.get(old.Store)
	if err != nil {
		return err
	}
	if store.config.Shared() && !store.config.Write {
		return &api.Error{Code: api.InvalidRequest, Profile: name, Field: "secret", Description: "the secret of " + name + " rests in " + store.name + ", which is read-only",
			Hint: "change it there, in the entry " + old.Entry + ": the agent finds it by itself"}
	}
	next, err := a.given(ctx, old, store, value)
	if err != nil {
		return err
	}
	if err := store.Check(ctx); err != nil {
		return err
	}
	p := *old
	resolved, err := a.granter.resolve(ctx, &p)
	if err != nil {
		return err
	}
	p.Found = endpoint{Issuer: resolved.Issuer, TokenEndpoint: resolved.TokenEndpoint, Step: resolved.Step}
	held, err := a.prove(ctx, caller, &p, next, nil)
	if err != nil {
		return err
	}
	if p.Source == api.SourcePaired {
		err := a.keep(ctx, caller, "secret", &p, old, store, held)
		a.heal(name)
		return err
	}
	if err := a.turnFor(ctx, name, old); err != nil {
		return err
	}
	defer a.admin.give()
	if err := a.recordAct(caller, "secret", name, p.Found.TokenEndpoint); err != nil {
		return err
	}
	if err := replace(ctx, store, p.Entry, held); err != nil {
		return err
	}
	a.forget(name) // what is on the way may have been refused the old one
	return nil
}

// given is the credential of p with a secret that somebody gives by hand: a client id
// that rests with the secret stays.
func (a *Agent) given(ctx context.Context, p *profile, store *watchedStore, value string) (credential, error) {
	secret, err := newSecret(value)
	if err != nil {
		return credential{}, err
	}
	next, err := p.bound(credential{clientID: p.ClientID, secret: secret}, store)
	if err != nil || p.ClientIDFrom == "" {
		return next, err
	}
	now, err := a.granter.credential(ctx, p)
	next.clientID = now.clientID
	return next, err
}

// replace puts a secret in the place of the one of the same client.
func replace(ctx context.Context, store *watchedStore, entry string, held credential) error {
	if !store.config.Shared() {
		return store.Put(ctx, entry, held.toKeep())
	}
	store.Forget(entry)
	old, err := store.Get(ctx, entry)
	switch {
	case errors.Is(err, vault.ErrNotFound), errors.Is(err, vault.ErrBroken):
		return store.Put(ctx, entry, held.toKeep())
	case err != nil:
		return err
	}
	return store.Put(ctx, entry, held.toReplace(old, held.clientID))
}

// recordAct writes an administrative act to the audit, durably, before it is
// done.
func (a *Agent) recordAct(caller peer.Caller, event, profile, detail string) error {
	record := recordOf(caller, "admin")
	record.Event, record.Profile, record.Detail = event, profile, detail
	return a.audit.AppendSync(record)
}

// recordRefusal records that an act, of which there is a record, came to nothing.
func (a *Agent) recordRefusal(caller peer.Caller, event, detail string, refused error) error {
	record := recordOf(caller, "admin")
	record.Event, record.Detail, record.Code = event, detail, string(explain(refused).Code)
	return a.audit.AppendSync(record)
}
