package agent

import (
	"context"
	"errors"

	"keytender/agent/internal/peer"
	"keytender/vault"
)

// storePrefix begins the names by which "secret set" means a store.
const storePrefix = "store/"

// enroll keeps the credential by which a shared store is logged in to, in the
// default store and for that server alone, once a login has proven it. What
// was handed over wrapped is kept even if the login fails.
func (a *Agent) enroll(ctx context.Context, caller peer.Caller, name, value string) error {
	store, to, err := a.enrollable(name)
	if err != nil {
		return err
	}
	if value == "" || len(value) > 64<<10 {
		return wrong("secret", "give the store's credential, at most 64 KiB")
	}
	fallback, err := a.stores.get("")
	if err != nil {
		return err
	}
	// Both before a wrapped credential is unwrapped, which can be done once.
	if err := fallback.Check(ctx); err != nil {
		return err
	}
	if err := a.recordAct(caller, "store_secret", "", name); err != nil {
		return err
	}
	kept, refused := vault.Enroll(ctx, store.config, a.stores.optionsOf(name), vault.NewSecret(value))
	if bad, ok := errors.AsType[*vault.ConfigError](refused); ok {
		refused = wrong("name", "%s: %w", name, bad)
	}
	refused = named(name, store.config, refused)
	if kept.IsZero() {
		return errors.Join(refused, a.recordRefusal(caller, "store_secret", name, refused))
	}
	// A caller who goes away must not take what was unwrapped with him.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterMaking)
	defer cancel()
	if err := a.admin.take(ctx); err != nil {
		return err
	}
	defer a.admin.give()
	if err := fallback.Put(ctx, bootstrapEntry(name), vault.Entry{Secret: kept, Origins: []string{to}}); err != nil {
		return err
	}
	a.stores.reopen(name)
	for _, p := range a.broker.catalog.Load().profiles {
		if p.storeName() == name {
			a.heal(p.Name)
		}
	}
	return refused // after an unwrapping, which cannot be done again
}

// enrollable is the store of that name, and where its credential goes.
func (a *Agent) enrollable(name string) (store *watchedStore, to string, err error) {
	if name == "" {
		return nil, "", wrong("name", "name the store behind %s", storePrefix)
	}
	if store, err = a.stores.get(name); err != nil {
		return nil, "", err
	}
	if !store.config.Shared() {
		return nil, "", wrong("name", "%s is a store of the agent's own, which needs no credential", name)
	}
	if to, err = store.config.Origin(); err != nil {
		return nil, "", wrong("store", "%w", err)
	}
	return store, to, nil
}
