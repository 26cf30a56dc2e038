package agent

import (
	"context"
	"fmt"
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

// pair proves a client id and secret with a first token and only then stores
// them. A pairing that fails, or is cut off at any point, leaves nothing
// behind.
func (a *Agent) pair(ctx context.Context, caller peer.Caller, r api.Pairing, step func(api.Step)) (api.PairResult, error) {
	p, err := paired(r)
	if err != nil {
		return api.PairResult{}, err
	}
	store, err := a.stores.get(p.Store)
	if err != nil {
		return api.PairResult{}, err
	}
	offered, err := a.offered(ctx, p, store, r.Secret)
	if err != nil {
		return api.PairResult{}, err
	}
	before, unchanged, err := a.before(ctx, p, offered, r.Replace)
	if err != nil {
		return api.PairResult{}, err
	}
	if unchanged {
		return api.PairResult{Profile: a.profileStatus(before)}, nil
	}
	tell := teller(step, pairingSteps)
	tell(1, "profile %s: client id %s and its secret received%s", p.Name, offered.clientID, p.receivedFrom(store))
	if err := store.Check(ctx); err != nil {
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
	held, err := a.prove(ctx, caller, p, offered, tell)
	if err != nil {
		return api.PairResult{}, err
	}
	if err := a.keep(ctx, caller, "pair", p, before, store, held); err != nil {
		return api.PairResult{}, err
	}
	tell(6, "secret %s %s; automations can ask for tokens now", p.rests(), store)
	result := api.PairResult{Changed: true, Profile: a.profileStatus(p), ResolvedBy: resolved.Step, Issuer: resolved.Issuer, TokenEndpoint: resolved.TokenEndpoint}
	if resolved.Warning != "" {
		result.Warnings = append(result.Warnings, resolved.Warning)
	}
	return result, nil
}

func teller(step func(api.Step), of int) func(int, string, ...any) {
	return func(n int, format string, args ...any) {
		step(api.Step{Number: n, Of: of, Text: fmt.Sprintf(format, args...)})
	}
}

func newSecret(s string) (vault.Secret, error) {
	if s == "" || len(s) > 16<<10 || !printable(s) {
		return vault.Secret{}, wrong("secret", "give the client secret: one line, not empty")
	}
	return vault.NewSecret(s), nil
}

// offered is the credential that a pairing brings: the secret that came with
// it or, for an entry of a shared store, the one that rests there.
func (a *Agent) offered(ctx context.Context, p *profile, store *watchedStore, given string) (credential, error) {
	if err := p.checkEntry(store); err != nil {
		return credential{}, err
	}
	if given == "" && p.Entry != "" {
		p.Adopted = true
		entry, err := store.Get(ctx, p.Entry)
		if err != nil {
			return credential{}, err
		}
		return p.credentialOf(entry, store)
	}
	secret, err := newSecret(given)
	if err != nil {
		return credential{}, err
	}
	if p.ClientIDFrom != "" {
		return credential{}, wrong("client_id_from", "the client id comes with the secret, from an entry of a shared store: give no secret, and name the entry")
	}
	if store.config.Shared() && !store.config.Write {
		return credential{}, wrong("store", "%s is read-only: name the entry where the secret rests already (--entry) and give none, or say write: true at the store", store.name)
	}
	return p.bound(credential{clientID: p.ClientID, secret: secret}, store)
}

// checkEntry checks the entry that a pairing names.
func (p *profile) checkEntry(store *watchedStore) error {
	switch {
	case p.Entry == "":
		return nil
	case !store.config.Shared():
		return wrong("entry", "%s is a store of the agent's own, which names its entries itself", store.name)
	}
	if err := store.config.CheckName(p.Entry); err != nil {
		return wrong("entry", "%w", err)
	}
	return nil
}

func (p *profile) receivedFrom(store *watchedStore) string {
	if p.Adopted {
		return " from " + store.String() + ", entry " + p.Entry
	}
	return ""
}

func (p *profile) rests() string {
	if p.Adopted {
		return "stays in"
	}
	return "stored in"
}

// before is the pairing that p would replace. The same pairing again changes
// nothing; another one under the same name needs replace.
func (a *Agent) before(ctx context.Context, p *profile, offered credential, replace bool) (_ *profile, unchanged bool, _ error) {
	old := a.broker.catalog.Load().profiles[p.Name]
	if old == nil {
		return nil, false, nil
	}
	if old.Source == api.SourceDeclared {
		return nil, false, &api.Error{Code: api.InvalidRequest, Profile: p.Name, Field: "name",
			Description: p.Name + " is declared in config.yaml, which belongs to people",
			Hint:        "edit it there:\n" + declaration(p)}
	}
	if old.same(p) && (p.Entry == "" || p.Entry == old.Entry) {
		held, err := a.granter.credential(ctx, old)
		if err == nil && held.secret.Equal(offered.secret) {
			return old, true, nil
		}
	}
	if !replace {
		return nil, false, &api.Error{Code: api.AlreadyPaired, Profile: p.Name, Field: "name",
			Description: p.Name + " is paired already, with other values", Hint: "add --replace to pair it anew"}
	}
	return old, false, nil
}

// prove gets a first token with the secret and returns what may be stored.
func (a *Agent) prove(ctx context.Context, caller peer.Caller, p *profile, held credential, tell func(int, string, ...any)) (credential, error) {
	to, err := origin(p.Found.TokenEndpoint)
	if err != nil {
		return credential{}, err
	}
	if held.origins == nil { // it came with the pairing, for this
		held.origins = []string{to}
	}
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
