package agent

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/identity"
	"keytender/agent/internal/peer"
	"keytender/agent/internal/session"
	"keytender/vault"
)

// pairingSteps is how many steps a pairing tells of: those of UiPath's "Robot
// Authentication With Client Credentials" up to the token, and the storing.
const pairingSteps = 6

// cleanupLimit is how long removing entries from stores may take.
const cleanupLimit = 15 * time.Second

// pair proves a client id and secret with a first token and only then stores
// them. A pairing that fails, or is cut off at any point, leaves nothing
// behind.
func (a *Agent) pair(ctx context.Context, caller peer.Caller, r api.Pairing, step func(api.Step)) (api.PairResult, error) {
	p, err := paired(r)
	if err != nil {
		return api.PairResult{}, err
	}
	secret, err := newSecret(r.Secret)
	if err != nil {
		return api.PairResult{}, err
	}
	before, unchanged, err := a.before(ctx, p, secret, r.Replace)
	if err != nil {
		return api.PairResult{}, err
	}
	if unchanged {
		return api.PairResult{Profile: a.profileStatus(before)}, nil
	}
	tell := teller(step)
	tell(1, "profile %s: client id %s and its secret received", p.Name, p.ClientID)
	store, err := a.usableStore(ctx, p.Store)
	if err != nil {
		return api.PairResult{}, err
	}
	resolved, err := a.granter.resolve(ctx, p)
	if err != nil {
		return api.PairResult{}, err
	}
	p.Found = endpoint{Issuer: resolved.Issuer, TokenEndpoint: resolved.TokenEndpoint, Step: resolved.Step}
	tell(2, "authentication configuration asked: %s", strings.Join(resolved.Asked, ", "))
	confirmed := "client credentials confirmed by " + resolved.Step
	if resolved.Warning != "" {
		confirmed = "client credentials are not listed, so the token is the proof (" + resolved.Step + ")"
	}
	tell(3, "%s; the secret goes to %s and nowhere else", confirmed, resolved.TokenEndpoint)
	held, err := a.prove(ctx, caller, p, secret, tell)
	if err != nil {
		return api.PairResult{}, err
	}
	if err := a.keep(ctx, caller, "pair", p, before, store, held); err != nil {
		return api.PairResult{}, err
	}
	tell(6, "secret stored in %s; automations can ask for tokens now", store)
	result := api.PairResult{Changed: true, Profile: a.profileStatus(p), ResolvedBy: resolved.Step, Issuer: resolved.Issuer, TokenEndpoint: resolved.TokenEndpoint}
	if resolved.Warning != "" {
		result.Warnings = append(result.Warnings, resolved.Warning)
	}
	return result, nil
}

func teller(step func(api.Step)) func(int, string, ...any) {
	return func(n int, format string, args ...any) {
		step(api.Step{Number: n, Of: pairingSteps, Text: fmt.Sprintf(format, args...)})
	}
}

func newSecret(s string) (vault.Secret, error) {
	if s == "" || len(s) > 16<<10 || !printable(s) {
		return vault.Secret{}, wrong("secret", "give the client secret: one line, not empty")
	}
	return vault.NewSecret(s), nil
}

// before is the pairing that p would replace. The same pairing again changes
// nothing; another one under the same name needs replace.
func (a *Agent) before(ctx context.Context, p *profile, secret vault.Secret, replace bool) (_ *profile, unchanged bool, _ error) {
	old := a.broker.catalog.Load().profiles[p.Name]
	if old == nil {
		return nil, false, nil
	}
	if old.Source == api.SourceDeclared {
		return nil, false, &api.Error{Code: api.InvalidRequest, Profile: p.Name, Field: "name",
			Description: p.Name + " is declared in config.yaml, which belongs to people",
			Hint:        "edit it there:\n" + declaration(p)}
	}
	if old.same(p) {
		held, err := a.granter.credential(ctx, old)
		if err == nil && held.secret.Equal(secret) {
			return old, true, nil
		}
	}
	if !replace {
		return nil, false, &api.Error{Code: api.AlreadyPaired, Profile: p.Name, Field: "name",
			Description: p.Name + " is paired already, with other values", Hint: "add --replace to pair it anew"}
	}
	return old, false, nil
}

// usableStore is a store that answers now, so that no secret is sent anywhere
// that could not be kept afterwards.
func (a *Agent) usableStore(ctx context.Context, name string) (*watchedStore, error) {
	store, err := a.stores.get(name)
	if err != nil {
		return nil, err
	}
	return store, store.Check(ctx)
}

// prove gets a first token with the secret and returns what may be stored.
func (a *Agent) prove(ctx context.Context, caller peer.Caller, p *profile, secret vault.Secret, tell func(int, string, ...any)) (credential, error) {
	to, err := origin(p.Found.TokenEndpoint)
	if err != nil {
		return credential{}, err
	}
	held := credential{secret, []string{to}}
	if tell != nil {
		tell(4, "token requested at %s for %s", p.Found.TokenEndpoint, asksFor(p))
	}
	granted, err := a.granter.send(ctx, p, p.key, p.Found, held)
	if err := a.granter.record(recordOf(caller, "admin"), p, p.key, granted, err); err != nil {
		return credential{}, err
	}
	if tell != nil {
		tell(5, "token issued: fingerprint %s, valid for %s", session.Fingerprint(granted.Access), validity(granted))
	}
	return held, nil
}

func asksFor(p *profile) string {
	if p.key.Scopes == "" {
		return "the scopes that the application has"
	}
	return p.key.Scopes
}

func validity(g identity.Grant) time.Duration {
	return g.ExpiresAt.Sub(g.IssuedAt).Round(time.Second)
}

// keep stores the secret under an entry of its own and then makes the profile
// live in one write of the state, which until then lists the entry as one to
// be removed: so that a crash at any point leaves the old pairing or the new
// one, and in the end no entry without a profile. event is how the record
// calls it.
func (a *Agent) keep(ctx context.Context, caller peer.Caller, event string, p, before *profile, store *watchedStore, held credential) (err error) {
	if err := a.turnFor(ctx, p.Name, before); err != nil {
		return err
	}
	defer a.admin.give()
	p.Entry = "profile/" + p.Name + "/" + strings.ToLower(rand.Text()[:10])
	p.Home = store.home
	p.SecretAt = a.now().UTC().Truncate(time.Second)
	sealed, err := held.seal()
	if err != nil {
		return err
	}
	if err := a.ledger.expect(orphan{p.Store, p.Home, p.Entry}); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			a.sweep(ctx)
		}
	}()
	if err := store.Put(ctx, p.Entry, sealed); err != nil {
		return err
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

// sweep removes what belongs to no profile, also when the caller has gone away
// meanwhile, and returns the entries that are left.
func (a *Agent) sweep(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	return a.ledger.sweep(ctx, a.stores)
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
	if err := a.recordAct(caller, "unpair", name, ""); err != nil {
		return err
	}
	if err := a.ledger.remove(p); err != nil {
		return err
	}
	a.publish()
	if left := a.sweep(ctx); slices.Contains(left, p.Entry) {
		return &api.Error{Code: api.StoreUnavailable, Profile: name,
			Description: name + " is forgotten, but its secret still rests in its store, which does not answer or is not the one that config.yaml names now",
			Hint:        "the agent removes it at its next start or pairing at which that store answers"}
	}
	return nil
}

// setSecret replaces the secret of a profile, once a token has proven it.
func (a *Agent) setSecret(ctx context.Context, caller peer.Caller, name, value string) error {
	secret, err := newSecret(value)
	if err != nil {
		return err
	}
	old, err := a.broker.catalog.Load().pick(name)
	if err != nil {
		return err
	}
	store, err := a.usableStore(ctx, old.Store)
	if err != nil {
		return err
	}
	p := *old
	resolved, err := a.granter.resolve(ctx, &p)
	if err != nil {
		return err
	}
	p.Found = endpoint{Issuer: resolved.Issuer, TokenEndpoint: resolved.TokenEndpoint, Step: resolved.Step}
	held, err := a.prove(ctx, caller, &p, secret, nil)
	if err != nil {
		return err
	}
	if p.Source == api.SourcePaired {
		return a.keep(ctx, caller, "secret", &p, old, store, held)
	}
	if err := a.turnFor(ctx, name, old); err != nil {
		return err
	}
	defer a.admin.give()
	if err := a.recordAct(caller, "secret", name, p.Found.TokenEndpoint); err != nil {
		return err
	}
	sealed, err := held.seal()
	if err != nil {
		return err
	}
	if err := store.Put(ctx, p.Entry, sealed); err != nil {
		return err
	}
	a.forget(name)
	return nil
}

// recordAct writes an administrative act to the audit, durably, before it is
// done.
func (a *Agent) recordAct(caller peer.Caller, event, profile, detail string) error {
	record := recordOf(caller, "admin")
	record.Event, record.Profile, record.Detail = event, profile, detail
	return a.audit.AppendSync(record)
}

// declaration is p as config.yaml would declare it.
func declaration(p *profile) string {
	lines := []string{"profiles:", "  " + p.Name + ":", "    kind: " + p.Kind}
	for _, field := range [][2]string{
		{"url", p.URL}, {"edition", p.Edition}, {"client_id", p.ClientID}, {"identity", p.Identity}, {"token_endpoint", p.TokenEndpoint},
		{"audience", p.Audience}, {"token_lifetime", p.TokenLifetime}, {"tenant", p.Tenant}, {"folder", p.Folder},
	} {
		if field[1] != "" {
			lines = append(lines, fmt.Sprintf("    %s: %q", field[0], field[1]))
		}
	}
	if len(p.Scopes) > 0 {
		lines = append(lines, "    scopes:")
	}
	for _, scope := range p.Scopes {
		lines = append(lines, fmt.Sprintf("      - %q", scope))
	}
	return strings.Join(lines, "\n")
}
