package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/orchestrator"
	"keytender/agent/internal/peer"
	"keytender/vault"
)

// rotation is a rotation of a profile's secret that is under way, as the state
// remembers it, so that it can go on after a crash at any point:
//
//	begun ─► made at the server and staged ─► proven ─► switched ─► old deleted
//
// What is staged rests in the default store, for a new secret is told once.
type rotation struct {
	With     string    `json:"with"`   // the profile whose token administers the secrets
	At       string    `json:"at"`     // the Orchestrator, for ids mean nothing elsewhere
	Client   string    `json:"client"` // the client id
	Began    time.Time `json:"began"`  // UTC
	Before   []string  `json:"before"` // ids of the secrets that there were
	Old      string    `json:"old"`    // id of the one in use, "" if it is to stay
	Mark     string    `json:"mark"`   // HMAC of the one in use
	Made     string    `json:"made,omitempty"`
	Switched bool      `json:"switched,omitempty"`
}

// administration is where a profile's secrets are made and deleted, and the
// token that may.
type administration struct {
	orchestrator.Secrets
	token vault.Secret
}

// rotationSteps is how many steps a rotation tells of.
const rotationSteps = 6

// afterMaking is how long the rest may take once a secret has been made.
const afterMaking = 2 * time.Minute

// rotate gives a profile a new secret for the same client id.
func (a *Agent) rotate(ctx context.Context, caller peer.Caller, name string, r api.Rotation, step func(api.Step)) (api.Rotated, error) {
	if !a.rotating.begin(name) {
		return api.Rotated{}, &api.Error{Code: api.Unavailable, Profile: name, Description: "the secret of " + name + " is being rotated already", Hint: "wait for that to end", RetryAfter: 10}
	}
	defer a.rotating.end(name)
	x := &rotating{Agent: a, caller: caller, asked: r, tell: teller(step, rotationSteps)}
	if err := x.prepare(ctx, name); err != nil {
		return api.Rotated{}, err
	}
	// From here on a secret may be valid that nobody else knows: a caller who
	// goes away must not leave it so.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterMaking)
	defer cancel()
	for _, do := range []func(context.Context) error{x.make, x.prove, x.change, x.clean} {
		if err := do(ctx); err != nil {
			return api.Rotated{}, err
		}
	}
	return x.result(ctx), nil
}

// rotating is one rotation at work.
type rotating struct {
	*Agent
	caller peer.Caller
	asked  api.Rotation
	tell   func(int, string, ...any)

	p        *profile
	store    *watchedStore
	held     credential // in use when it began
	with     *profile
	server   administration
	shared   []string   // other profiles that have held in a place of their own
	refused  *api.Error // Identity's word on held, if that was that it is wrong
	rotation rotation
	made     credential // the new one
	warnings []string
}

// prepare sees that the rotation can come to its end, before anything is made.
func (x *rotating) prepare(ctx context.Context, name string) (err error) {
	live := x.broker.catalog.Load()
	if x.p, err = live.pick(name); err != nil {
		return err
	}
	if x.with, err = live.pick(x.asked.With); err != nil {
		return err
	}
	if x.store, err = x.granter.store(x.p); err != nil {
		return err
	}
	if err := x.readAndWrite(ctx); err != nil {
		return err
	}
	if x.server, err = x.administration(ctx); err != nil {
		return err
	}
	if err := x.tryHeld(ctx); err != nil {
		return err
	}
	x.shared = x.sharers(ctx)
	return x.begin(ctx)
}

// readAndWrite reads the secret in use and sees that another one can be written, in
// one turn: what is removed meanwhile must not be written back.
func (x *rotating) readAndWrite(ctx context.Context) (err error) {
	if err := x.turnFor(ctx, x.p.Name, x.p); err != nil {
		return err
	}
	defer x.admin.give()
	if x.held, err = x.readAnew(ctx, x.p); err != nil {
		return err
	}
	return x.writable(ctx)
}

// writable sees that both the profile's store and the default one take a secret.
// What is in the profile's entry is written back as it is.
func (x *rotating) writable(ctx context.Context) error {
	if x.store.config.Shared() && !x.store.config.Write {
		return unfit("store", x.store.name+" is read-only, so a new secret could not be kept there", "say write: true at the store in config.yaml and reload; nothing was made")
	}
	if err := x.store.Put(ctx, x.p.Entry, x.held.toReplace(x.held.entry, x.held.clientID)); err != nil {
		return err
	}
	fallback, err := x.stores.get("")
	if err != nil || x.store == fallback {
		return err
	}
	_, err = fallback.Get(ctx, stageOf(x.p.Name))
	if !errors.Is(err, vault.ErrNotFound) && !errors.Is(err, vault.ErrBroken) {
		return err // nil: a secret is staged there
	}
	probe := vault.Entry{Secret: vault.NewSecret("a place for the new secret"), Origins: x.held.origins}
	if err := fallback.Put(ctx, stageOf(x.p.Name), probe); err != nil {
		return err
	}
	return fallback.Delete(ctx, stageOf(x.p.Name))
}

// stageOf is where in the default store a new secret waits.
func stageOf(name string) string { return "rotation/" + name }

// administration gets the token that may administer the profile's secrets.
func (x *rotating) administration(ctx context.Context) (administration, error) {
	if x.p.address == nil {
		return administration{}, unfit("name", x.p.Name+" is no client of an Orchestrator: only machine objects and external applications can be rotated",
			"make its new secret where the old one was made, and give it with \"keytender secret set\"")
	}
	client := orchestrator.Client{HTTP: x.outbound.Load()}
	secrets := client.MachineSecrets(*x.p.address, x.held.clientID)
	if x.p.Kind == kindApp {
		secrets = client.AppSecrets(*x.p.address, x.p.Identity, x.held.clientID)
	}
	switch scope := secrets.Scope; {
	case x.with.address == nil || x.with.address.Origin != x.p.address.Origin || !sameIdentity(x.p, x.with):
		return administration{}, unfit("with", x.with.Name+" is not at the same Orchestrator and Identity Server as "+x.p.Name+", and its token goes nowhere else", "name a profile that is, with --with")
	case len(x.with.Scopes) > 0 && !slices.Contains(x.with.Scopes, scope):
		return administration{}, unfit("with", x.with.Name+" does not ask for the scope "+scope, "add it to its scopes, and to the application in Orchestrator")
	}
	token, err := x.adminToken(ctx, secrets.Scope)
	return administration{secrets, token}, err
}

// adminToken gets a token for this one rotation. It is no session's, so that neither
// it nor what Identity says against it is kept.
func (x *rotating) adminToken(ctx context.Context, scope string) (vault.Secret, error) {
	key := x.with.keyFor([]string{scope})
	granted, err := x.granter.ask(ctx, x.with, key)
	err = x.granter.record(recordOf(x.caller, "admin"), x.with, key, granted, err)
	if err == nil {
		return granted.Access, nil
	}
	said := explain(err)
	if said.Code == api.InvalidScope || said.ProviderError == "invalid_scope" {
		return vault.Secret{}, unfit("with", "Identity does not give "+x.with.Name+" the scope "+scope, "add it to the application in Orchestrator")
	}
	said.Description = x.with.Name + ": " + said.Description
	return vault.Secret{}, said
}

// unfit is an error of what a rotation was asked, with what to do about it.
func unfit(field, what, todo string) error {
	return &api.Error{Code: api.InvalidRequest, Field: field, Description: what, Hint: todo}
}

// sameIdentity reports whether two profiles are known to the same Identity
// Server.
func sameIdentity(p, q *profile) bool {
	a, err := p.identityOrigin()
	if err != nil {
		return false
	}
	b, err := q.identityOrigin()
	return err == nil && a == b
}

// identityOrigin is the origin of the profile's Identity Server, which without
// an explicit one has the Orchestrator's.
func (p *profile) identityOrigin() (string, error) {
	if p.Identity != "" {
		return origin(p.Identity)
	}
	return p.address.Origin, nil
}

// begin lists the secrets that there are, finds the one in use among them, and
// takes up a rotation that was cut off, or notes that one begins.
func (x *rotating) begin(ctx context.Context) error {
	list, err := x.server.List(ctx, x.server.token)
	if said, ok := errors.AsType[*orchestrator.SecretsError](err); ok && said.Kind == orchestrator.Denied {
		return unfit("with", said.What, said.Todo)
	}
	if err != nil {
		return err
	}
	x.tell(1, "%s has %s", x.p.Name, x.ages(list))
	if err := x.admin.take(ctx); err != nil {
		return err
	}
	defer x.admin.give()
	if goesOn, err := x.resume(ctx, list); goesOn || err != nil {
		return err
	}
	old, err := x.inUse(list)
	if err != nil {
		return err
	}
	if err := x.unstage(ctx); err != nil { // of one that cannot go on
		return err
	}
	if err := x.recordAct(x.caller, "rotate", x.p.Name, "with "+x.with.Name); err != nil {
		return err
	}
	x.rotation = rotation{With: x.with.Name, At: x.p.address.Base, Client: x.held.clientID, Began: x.now().UTC().Truncate(time.Second), Before: idsOf(list), Old: old, Mark: x.mark(x.held.secret)}
	return x.ledger.rotating(x.p.Name, x.rotation)
}

// warn tells of something that a person should look at afterwards.
func (x *rotating) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	x.log.Warn("a secret is left at the server", "profile", x.p.Name, "warning", text)
	x.warnings = append(x.warnings, text)
}

// result tells what came of it.
func (x *rotating) result(ctx context.Context) api.Rotated {
	rotated := api.Rotated{Changed: true, Profile: x.profileStatus(cmp.Or(x.broker.catalog.Load().profiles[x.p.Name], x.p)), Made: x.rotation.Made, Warnings: x.warnings}
	list, err := x.server.List(ctx, x.server.token)
	if err != nil {
		return rotated // what there is is only told where it can be had
	}
	for _, s := range list {
		rotated.Secrets = append(rotated.Secrets, api.SecretInfo{ID: s.ID, AgeDays: x.ageInDays(s.CreatedAt), ExpiresAt: instant(s.ExpiresAt), InUse: s.ID == x.rotation.Made})
	}
	return rotated
}

// names is a set of profiles at which something is being done.
type names struct {
	mu sync.Mutex
	in map[string]bool
}

func (n *names) begin(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.in[name] {
		return false
	}
	if n.in == nil {
		n.in = map[string]bool{}
	}
	n.in[name] = true
	return true
}

func (n *names) end(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.in, name)
}
