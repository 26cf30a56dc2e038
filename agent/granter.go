package agent

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/audit"
	"keytender/agent/internal/identity"
	"keytender/agent/internal/session"
	"keytender/vault"
)

// clientCredentials is the grant of RFC 6749 section 4.4.
const clientCredentials = "client_credentials"

// granter turns a profile's secret into grants: it reads the secret from its
// store when it is needed, finds the Identity Server, asks, and records.
type granter struct {
	catalog  *atomic.Pointer[catalog]
	stores   *stores
	identity *atomic.Pointer[identity.Client]
	audit    *audit.Log
	markKey  []byte // of the HMAC by which secrets are compared
	now      func() time.Time

	log     *slog.Logger
	secrets secretsSeen

	mu    sync.Mutex
	found map[string]endpoint // where declared profiles send their secret
}

// grant gets one token for a session. No record, no token.
func (g *granter) grant(ctx context.Context, key session.Key) (identity.Grant, error) {
	for {
		p := g.catalog.Load().profiles[key.Profile]
		if p == nil {
			return identity.Grant{}, &api.Error{Code: api.NotPaired, Description: key.Profile + " is not paired any more", Profile: key.Profile}
		}
		granted, err := g.ask(ctx, p, key)
		if err != nil && (!g.live(p) || errors.Is(err, vault.ErrClosed)) && ctx.Err() == nil {
			continue // its secret was moved or rotated, or its store closed meanwhile: what failed is not how it is now
		}
		return granted, g.record(audit.Record{UID: -1}, p, key, granted, err)
	}
}

// record records a grant or why there is none. base says who had it asked for:
// nobody for a session's own.
func (g *granter) record(base audit.Record, p *profile, key session.Key, granted identity.Grant, failed error) error {
	record := base
	record.Event, record.Profile, record.Scopes = "grant", p.Name, key.Scopes
	if failed == nil {
		record.Fingerprint = session.Fingerprint(granted.Access)
	} else {
		said := explain(failed)
		record.Event, record.Code, record.Detail = "grant_failed", string(said.Code), said.ProviderError
	}
	return errors.Join(failed, g.audit.Append(record))
}

// ask gets a grant with the profile's secret. Where Identity calls it wrong, the
// store is asked again, whatever is kept of it, and what it has by now is tried;
// then the secret that it had before, as long as that may be kept. What Identity
// has called wrong is not sent again.
func (g *granter) ask(ctx context.Context, p *profile, key session.Key) (identity.Grant, error) {
	to, err := g.endpoint(ctx, p)
	if err != nil {
		return identity.Grant{}, err
	}
	store, err := g.store(p)
	if err != nil {
		return identity.Grant{}, err
	}
	var refused error
	for _, from := range []source{fromStore, fromStoreAnew, fromBefore} {
		held, err := g.read(ctx, p, store, from)
		switch {
		case errors.Is(err, errNone):
			continue
		case err != nil:
			return identity.Grant{}, errors.Join(refused, err)
		}
		mark := g.mark(held.secret)
		if _, before := g.secrets.refusal(p.Name, mark); before != nil {
			refused = cmp.Or(refused, before)
			continue
		}
		granted, err := g.send(ctx, p, key, to, held)
		if !wrongSecret(err) {
			if err == nil {
				g.worked(p, mark, held, from)
			}
			return granted, err
		}
		g.secrets.refuse(p, mark, err, g.now(), g.live)
		refused = err
	}
	return identity.Grant{}, refused
}

// source is where a secret that is tried comes from.
type source int

const (
	fromStore     source = iota // as the store tells it, or told it not long ago
	fromStoreAnew               // as the store tells it now
	fromBefore                  // as the store told it before it told another
)

// errNone: there is no secret from that source.
var errNone = errors.New("there is none")

func (g *granter) read(ctx context.Context, p *profile, store *watchedStore, from source) (credential, error) {
	switch from {
	case fromStoreAnew:
		store.Forget(p.Entry)
	case fromBefore:
		entry, ok := store.Previous(p.Entry)
		if !ok {
			return credential{}, errNone
		}
		return p.credentialOf(entry, store)
	}
	return g.credentialIn(ctx, p, store)
}

// worked notes which secret a token was had with, and tells when it is another
// one than before.
func (g *granter) worked(p *profile, mark string, held credential, from source) {
	changed := g.secrets.work(p, mark, held.entry.Changed, from == fromBefore, g.live)
	if !changed {
		return
	}
	event, message := "secret_changed", "the store has another secret, and it works"
	if from == fromBefore {
		event, message = "secret_before", "the store's new secret is refused, and the one before still works"
	}
	g.log.Info(message, "profile", p.Name, "store", p.storeName())
	if err := g.audit.Append(audit.Record{UID: -1, Event: event, Profile: p.Name, Detail: p.storeName()}); err != nil {
		g.log.Error("a change of the secret was not recorded", "profile", p.Name, "error", err) // the grant's own record fails too
	}
}

// send presents the secret, if it was given for where it would go.
func (g *granter) send(ctx context.Context, p *profile, key session.Key, to endpoint, held credential) (identity.Grant, error) {
	if err := held.mayGoTo(to.TokenEndpoint); err != nil {
		return identity.Grant{}, err
	}
	granted, err := g.identity.Load().ClientCredentials(ctx, identity.Request{
		TokenEndpoint: to.TokenEndpoint,
		ClientID:      held.clientID,
		Secret:        held.secret,
		Scopes:        session.Split(key.Scopes),
		Audience:      key.Audience,
		Lifetime:      p.lifetime,
	})
	if failed, ok := errors.AsType[*identity.Error](err); ok && failed.Kind == identity.Broken {
		g.forgetEndpoint(p.Name)
	}
	return granted, err
}

// credential is what the profile's store has, or had not long ago.
func (g *granter) credential(ctx context.Context, p *profile) (credential, error) {
	store, err := g.store(p)
	if err != nil {
		return credential{}, err
	}
	return g.credentialIn(ctx, p, store)
}

// store is the profile's store, if it is the one that the profile was paired
// with.
func (g *granter) store(p *profile) (*watchedStore, error) {
	store, err := g.stores.get(p.Store)
	if err != nil {
		return nil, err
	}
	if p.Home != "" && p.Home != store.home {
		return nil, &api.Error{Code: api.NotPaired, Profile: p.Name, Description: "the secret of " + p.Name + " rests in another store than " + store.name + " is now",
			Hint: `put the store back in config.yaml, or give the secret again: pair it with --replace`}
	}
	return store, nil
}

func (g *granter) credentialIn(ctx context.Context, p *profile, store *watchedStore) (credential, error) {
	stored, err := store.Get(ctx, p.Entry)
	if errors.Is(err, vault.ErrNotFound) && !store.config.Shared() {
		return credential{}, &api.Error{Code: api.NotPaired, Profile: p.Name, Description: p.Name + " has no secret in the store " + store.name,
			Hint: `run "keytender secret set ` + p.Name + `"`}
	}
	if err != nil {
		return credential{}, err
	}
	return p.credentialOf(stored, store)
}

// endpoint is where the profile's secret goes: what its pairing found, else
// what discovery finds, asked once.
func (g *granter) endpoint(ctx context.Context, p *profile) (endpoint, error) {
	if p.Found.TokenEndpoint != "" {
		return p.Found, nil
	}
	g.mu.Lock()
	known, ok := g.found[p.Name]
	g.mu.Unlock()
	if ok {
		return known, nil
	}
	resolved, err := g.resolve(ctx, p)
	if err != nil {
		return endpoint{}, err
	}
	found := endpoint{Issuer: resolved.Issuer, TokenEndpoint: resolved.TokenEndpoint, Step: resolved.Step}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.live(p) {
		g.found[p.Name] = found
	}
	return found, nil
}

// resolve asks where the profile's Identity Server is.
func (g *granter) resolve(ctx context.Context, p *profile) (identity.Resolution, error) {
	return g.identity.Load().Resolve(ctx, identity.Question{
		Orchestrator:  p.address,
		Identity:      p.Identity,
		TokenEndpoint: p.TokenEndpoint,
		Grant:         clientCredentials,
		AuthConfig:    (*identity.AuthConfig)(p.AuthConfig),
	})
}

// live reports whether p is what its name means now. What is found out about a
// profile that was changed meanwhile must not be remembered for the new one:
// publishing swaps the catalog first and forgets then, so under mu this is
// certain.
func (g *granter) live(p *profile) bool { return g.catalog.Load().profiles[p.Name] == p }

// forget drops what is remembered of a profile.
func (g *granter) forget(name string) {
	g.forgetEndpoint(name)
	g.secrets.forget(name)
}

func (g *granter) forgetEndpoint(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.found, name)
}

// mark tells two secrets apart without keeping either.
func (g *granter) mark(s vault.Secret) string {
	h := hmac.New(sha256.New, g.markKey)
	h.Write([]byte(s.Reveal()))
	return string(h.Sum(nil))
}

// wrongSecret reports whether Identity has called the secret wrong. A refusal
// without a code may come from a gateway before it, so it bars nothing.
func wrongSecret(err error) bool {
	failed, ok := errors.AsType[*identity.Error](err)
	return ok && failed.Kind == identity.Refused && failed.Code == "invalid_client"
}
