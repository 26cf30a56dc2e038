package agent

import (
	"context"
	"errors"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/orchestrator"
	"keytender/vault"
)

// make has the server make a secret, and puts it where a crash does not reach
// it.
func (x *rotating) make(ctx context.Context) error {
	if x.rotation.Made != "" {
		return nil
	}
	info, secret, err := x.server.Make(ctx, x.server.token)
	if said, ok := errors.AsType[*orchestrator.SecretsError](err); ok && said.Unsure {
		return unfinished(err) // the next run tells if there is a secret that nobody has
	}
	if err != nil {
		return x.giveUp(ctx, err)
	}
	x.rotation.Made = info.ID
	x.made = credential{clientID: x.held.clientID, secret: secret, origins: x.held.origins}
	fallback, err := x.stores.get("")
	if err == nil {
		err = fallback.Put(ctx, stageOf(x.p.Name), vault.Entry{Username: info.ID, Secret: secret, Origins: x.held.origins})
	}
	if err != nil {
		return x.unmake(ctx, err)
	}
	x.tell(2, "secret %s made at %s", info.ID, x.p.address.Origin)
	x.note("made " + info.ID)
	return nil
}

// prove gets a token with the new secret. Servers may take a while to know it.
func (x *rotating) prove(ctx context.Context) error {
	if x.rotation.Switched {
		return nil
	}
	to, err := x.granter.endpoint(ctx, x.p)
	if err != nil {
		return err
	}
	for wait := 250 * time.Millisecond; ; wait *= 2 {
		granted, err := x.granter.send(ctx, x.p, x.p.key, to, x.made)
		err = x.granter.record(recordOf(x.caller, "admin"), x.p, x.p.key, granted, err)
		switch {
		case err == nil:
			x.tell(3, "secret %s proven with a token", x.rotation.Made)
			return nil
		case !wrongSecret(err):
			return unfinished(err) // it may be Identity's hour: the next try goes on
		case wait > longestKnowing:
			return x.unmake(ctx, err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return unfinished(err)
		}
	}
}

// longestKnowing is the last of the growing waits for Identity to know a secret
// that Orchestrator has made: half a minute in all.
const longestKnowing = 16 * time.Second

// change puts the new secret into the profile's place.
func (x *rotating) change(ctx context.Context) error {
	if x.rotation.Switched {
		return nil
	}
	err := x.turnFor(ctx, x.p.Name, x.p)
	if err == nil {
		err = x.put(ctx)
		x.admin.give()
	}
	switch {
	case err == nil:
		return nil
	case x.overtaken(ctx):
		return x.unmake(ctx, err)
	}
	return unfinished(err)
}

// overtaken tells whether the profile is gone or has another secret by now, so
// that the new one is of no use.
func (x *rotating) overtaken(ctx context.Context) bool {
	p := x.broker.catalog.Load().profiles[x.p.Name]
	if p == nil {
		return true
	}
	now, err := x.readAnew(ctx, p)
	return err == nil && (now.clientID != x.held.clientID || !x.knows(now.secret))
}

// knows tells whether s is one of the two secrets that the rotation is about.
func (x *rotating) knows(s vault.Secret) bool {
	return s.Equal(x.held.secret) || s.Equal(x.made.secret)
}

// put writes the new secret, reads it back, and switches to it. The turn is held.
func (x *rotating) put(ctx context.Context) (err error) {
	if x.store, err = x.granter.store(x.p); err != nil { // a reload may have closed the one before
		return err
	}
	next, entry, err := x.target(ctx)
	if err != nil {
		return err
	}
	if err := x.store.Put(ctx, next.Entry, entry); err != nil {
		return err
	}
	x.store.Forget(next.Entry)
	back, err := x.store.Get(ctx, next.Entry)
	if err != nil {
		return err
	}
	if !back.Secret.Equal(x.made.secret) {
		return &vault.Error{Store: x.store.String(), Op: "read back " + next.Entry, Kind: vault.ErrBroken, Why: "it is not what was written", Todo: "look at who else writes that entry"}
	}
	return x.switchTo(ctx, next)
}

// target is where the new secret goes, and what is written there: a new entry in a
// store of the agent's own; else the one that there is, unless somebody else has
// put another secret there meanwhile.
func (x *rotating) target(ctx context.Context) (*profile, vault.Entry, error) {
	if x.p.Source == api.SourcePaired && !x.store.config.Shared() {
		moved := *x.p
		moved.Entry = newEntry(moved.Name)
		return &moved, x.made.toKeep(), x.ledger.expect(orphan{Store: moved.Store, Home: moved.Home, Entry: moved.Entry})
	}
	x.store.Forget(x.p.Entry)
	old, err := x.store.Get(ctx, x.p.Entry)
	switch {
	case err != nil:
		return nil, vault.Entry{}, err
	case !x.knows(old.Secret):
		return nil, vault.Entry{}, &api.Error{Code: api.AlreadyPaired, Profile: x.p.Name, Field: "entry",
			Description: "somebody else has put another secret into the entry " + x.p.Entry + " of " + x.store.name + " meanwhile, which stays",
			Hint:        "see who else rotates the secret of " + x.held.clientID}
	case x.store.config.Shared():
		return x.p, x.made.toReplace(old, x.held.clientID), nil
	}
	return x.p, x.made.toKeep(), nil
}

func (x *rotating) switchTo(ctx context.Context, next *profile) error {
	made := secretID{x.rotation.Made, x.mark(x.made.secret)}
	paired := next
	if next.Source != api.SourcePaired {
		paired = nil
	} else {
		again := *next
		again.SecretAt = x.now().UTC().Truncate(time.Second)
		if x.store.config.Shared() && !again.Adopted {
			again.Wrote = made.Mark
		}
		next, paired = &again, &again
	}
	if err := x.ledger.switched(x.p.Name, x.rotation, made, paired); err != nil {
		return err
	}
	x.rotation.Switched = true
	x.publish()
	x.tell(4, "%s takes secret %s from %s from now on", x.p.Name, x.rotation.Made, x.store.name)
	x.note("switched to " + x.rotation.Made)
	x.sweep(ctx)
	return nil
}

// clean deletes the old secret, which nobody here uses any more.
func (x *rotating) clean(ctx context.Context) error {
	switch old := x.rotation.Old; {
	case old == "" || old == x.rotation.Made:
		x.tell(5, "the old secret stays valid")
	default:
		if err := x.server.Delete(ctx, x.server.token, old); err != nil && !gone(err) {
			return unfinished(err)
		}
		x.tell(5, "secret %s deleted at %s", old, x.p.address.Origin)
		x.note("deleted " + old)
	}
	if err := x.unstage(ctx); err != nil {
		return unfinished(err)
	}
	if err := x.admin.take(ctx); err != nil {
		return err
	}
	defer x.admin.give()
	if err := x.ledger.rotated(x.p.Name); err != nil {
		return err
	}
	x.tell(6, "the secret of %s is rotated", x.p.Name)
	return nil
}

// gone tells whether what was to be deleted is not there.
func gone(err error) bool {
	said, ok := errors.AsType[*orchestrator.SecretsError](err)
	return ok && said.Kind == orchestrator.NotFound
}

// unmake takes back a secret that cannot be used, because of err. One that the
// server does not take back is told now, and again by the next rotation.
func (x *rotating) unmake(ctx context.Context, err error) error {
	if failed := x.server.Delete(ctx, x.server.token, x.rotation.Made); failed != nil && !gone(failed) {
		x.log.Error("a new secret that cannot be used is still valid", "profile", x.p.Name, "secret", x.rotation.Made, "error", failed)
		said := explain(err)
		said.Hint = "delete secret " + x.rotation.Made + " of " + x.p.Name + " in Orchestrator, which is valid and in use by nobody; " + said.Hint
		return errors.Join(said, x.unstage(ctx))
	}
	x.note("deleted " + x.rotation.Made)
	return x.giveUp(ctx, errors.Join(err, x.unstage(ctx)))
}

// giveUp forgets the rotation: everything is as it was.
func (x *rotating) giveUp(ctx context.Context, err error) error {
	if failed := x.admin.take(ctx); failed != nil {
		return errors.Join(err, failed)
	}
	defer x.admin.give()
	return errors.Join(err, x.ledger.rotated(x.p.Name))
}

// unfinished is an error after which the same command goes on.
func unfinished(err error) error {
	said := explain(err)
	said.Hint += "; nothing is lost: the same command goes on where it stopped"
	return said
}

// note records a step of the rotation. Nothing is undone because of a record:
// the act itself was recorded before.
func (x *rotating) note(detail string) {
	record := recordOf(x.caller, "admin")
	record.Event, record.Profile, record.Detail = "rotate", x.p.Name, detail
	if err := x.audit.AppendSync(record); err != nil {
		x.log.Error("a step of a rotation was not recorded", "profile", x.p.Name, "step", detail, "error", err)
	}
}
