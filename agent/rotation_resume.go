package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"keytender/agent/internal/orchestrator"
	"keytender/vault"
)

// resume takes up a rotation that was cut off; done is false where there is
// none, or none that can go on.
func (x *rotating) resume(ctx context.Context, list []orchestrator.SecretInfo) (done bool, err error) {
	r, ok := x.ledger.held.Rotations[x.p.Name]
	if !ok {
		return false, nil
	}
	staged, err := x.staged(ctx)
	switch {
	case err != nil:
		return false, err
	case r.Switched:
		x.tell(1, "a rotation of %s that was cut off goes on: its new secret is in use", r.Began.Format(time.RFC3339))
		x.rotation = r
		x.made = credential{clientID: x.held.clientID, secret: x.held.secret, origins: x.held.origins}
		return true, nil
	case staged.Secret.IsZero() || r.Mark != x.mark(x.held.secret) && !staged.Secret.Equal(x.held.secret):
		x.strays(r, staged, list)
		return false, x.unstage(ctx)
	}
	r.Made = staged.Username
	x.rotation = r
	x.made = credential{clientID: x.held.clientID, secret: staged.Secret, origins: staged.Origins}
	x.tell(1, "a rotation of %s that was cut off goes on: its new secret was kept", r.Began.Format(time.RFC3339))
	return true, nil
}

// strays tells of secrets that a rotation has made which cannot go on.
func (x *rotating) strays(r rotation, staged vault.Entry, list []orchestrator.SecretInfo) {
	for _, s := range list {
		if s.ID == staged.Username || staged.Secret.IsZero() && !slices.Contains(r.Before, s.ID) && s.CreatedAt.After(r.Began.Add(-time.Minute)) {
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
