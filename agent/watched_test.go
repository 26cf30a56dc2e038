package agent

import (
	"context"
	"errors"
	"testing"
	"time"

	"keytender/vault"
)

// refusing is a vault that lets the agent in once refused is nil.
type refusing struct {
	vault.Store
	refused error
	logins  int
}

func (r *refusing) Get(ctx context.Context, _ string) (vault.Entry, error) {
	return vault.Entry{}, r.Check(ctx)
}

func (r *refusing) Check(context.Context) error {
	r.logins++
	return r.refused
}

// TestRefusedLoginIsTriedSeldom: a robot that asks each second must not lock out the
// account by which the agent logs in to a vault.
func TestRefusedLoginIsTriedSeldom(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	vaulted := &refusing{refused: &vault.Error{Store: "conjur://host/a", Kind: vault.ErrLogin}}
	w := &watchedStore{Store: vaulted, name: "corp", config: vault.Config{URL: "conjur://host/a"}, now: func() time.Time { return now }}
	hour := func() {
		for range 3600 {
			if _, err := w.Get(t.Context(), "x"); !errors.Is(err, vault.ErrLogin) {
				t.Fatalf("got %v", err)
			}
			now = now.Add(time.Second)
		}
	}
	hour() // after 0, 1, 3, 7, 15, 31 minutes
	if vaulted.logins != 6 {
		t.Errorf("%d logins in the first hour", vaulted.logins)
	}
	hour()
	if vaulted.logins != 8 {
		t.Errorf("%d logins in two hours", vaulted.logins)
	}
	vaulted.refused = nil
	if _, err := w.Get(t.Context(), "x"); err == nil {
		t.Error("the login was tried again at once")
	}
	w.allow() // as "keytender retry" does
	if _, err := w.Get(t.Context(), "x"); err != nil {
		t.Errorf("after a retry: %v", err)
	}
	vaulted.refused = &vault.Error{Store: "conjur://host/a", Kind: vault.ErrLogin}
	_ = w.Check(t.Context())
	vaulted.refused = nil
	if err := w.Check(t.Context()); err != nil { // as doctor asks
		t.Error(err)
	}
	if _, err := w.Get(t.Context(), "x"); err != nil {
		t.Errorf("after a login that worked: %v", err)
	}
}
