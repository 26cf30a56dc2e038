package agent

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"keytender/agent/internal/orchestrator"
	"keytender/vault"
)

// resume takes up a rotation that was cut off; goesOn is false where there is
// none, or none that can go on, because the profile has another client or another
// secret by now.
func (x *rotating) resume(ctx context.Context, list []orchestrator.SecretInfo) (goesOn bool, err error) {
	r, ok := x.ledger.held.Rotations[x.p.Name]
	if !ok {
		return false, nil
	}
	staged, err := x.staged(ctx)
	if err != nil {
		return false, err
	}
	mark, same := x.mark(x.held.secret), r.At == x.p.address.Base && r.Client == x.held.clientID
	switch {
	case same && r.Switched && x.ledger.held.SecretIDs[x.p.Name] == secretID{r.Made, mark}:
		x.made = x.held
		x.tell(1, "a rotation of %s that was cut off goes on: its new secret is in use", r.Began.Format(time.RFC3339))
	case same && !r.Switched && !staged.Secret.IsZero() && (r.Mark == mark || staged.Secret.Equal(x.held.secret)):
		r.Made = staged.Username
		x.made = credential{clientID: x.held.clientID, secret: staged.Secret, origins: staged.Origins}
		x.tell(1, "a rotation of %s that was cut off goes on: its new secret was kept", r.Began.Format(time.RFC3339))
	default:
		r.Made = cmp.Or(r.Made, staged.Username)
		x.strays(r, same, list)
		return false, nil
	}
	x.rotation = r
	return true, x.orders(list)
}

// orders has what is asked now go before what was asked when the rotation began.
func (x *rotating) orders(list []orchestrator.SecretInfo) error {
	switch {
	case x.asked.KeepOld:
		x.rotation.Old = ""
	case x.asked.Old != "" && x.asked.Old != x.rotation.Old:
		if err := x.has(list, x.asked.Old); err != nil {
			return err
		}
		x.rotation.Old = x.asked.Old
	}
	return nil
}

// strays tells of secrets that a rotation has made which cannot go on.
func (x *rotating) strays(r rotation, same bool, list []orchestrator.SecretInfo) {
	switch {
	case !same && r.Made != "":
		x.warn("secret %s of %s at %s was made by a rotation that was cut off, may be valid, and is in use by nobody here: delete it there", r.Made, r.Client, r.At)
	case !same:
		x.warn("a rotation of %s at %s was cut off and may have made a secret there, which is in use by nobody here: delete it there", r.Client, r.At)
	}
	for _, s := range list {
		probably := r.Made == "" && !slices.Contains(r.Before, s.ID) && s.CreatedAt.After(r.Began.Add(-time.Minute))
		if same && (s.ID == r.Made || probably) {
			x.warn("secret %s of %s was probably made by a rotation that was cut off, is valid, and is in use by nobody here: delete it in Orchestrator", s.ID, x.p.Name)
		}
	}
}

// staged is what waits in the default store; its user name is the server's id
// of the secret.
func (x *rotating) staged(ctx context.Context) (vault.Entry, error) {
	fallback, err := x.stores.get("")
	if err != nil {
		return vault.Entry{}, err
	}
	staged, err := fallback.Get(ctx, stageOf(x.p.Name))
	if errors.Is(err, vault.ErrNotFound) {
		return vault.Entry{}, nil
	}
	return staged, err
}

func (x *rotating) unstage(ctx context.Context) error {
	fallback, err := x.stores.get("")
	if err != nil {
		return err
	}
	return fallback.Delete(ctx, stageOf(x.p.Name))
}
