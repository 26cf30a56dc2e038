package door

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/audit"
	"keytender/agent/internal/identity"
	"keytender/agent/internal/policy"
	"keytender/agent/internal/session"
	"keytender/vault"
)

func TestEveryErrorHasItsCode(t *testing.T) {
	_, badScope := policy.Scopes("a\nb")
	badName := policy.CheckName("A b")
	refused := &identity.Error{Kind: identity.Refused, Code: "invalid_client", Status: 401, What: "refused", Todo: "check the secret"}
	network := &url.Error{Op: "Post", URL: "https://id.example/?" + canary, Err: errors.New(canary)}
	rows := map[api.Code][]error{
		api.InvalidScope:        {badScope, &identity.Error{Kind: identity.Refused, Code: "invalid_scope"}},
		api.InvalidRequest:      {badName, &identity.UnconfirmedError{Identity: "https://a.example", TokenEndpoint: "https://b.example/token"}},
		api.ProviderRefused:     {refused, &session.WaitError{Err: refused, RetryAfter: time.Minute}, &identity.ResolveError{Kind: identity.Refused, What: "no", Err: network}},
		api.ProviderBroken:      {&identity.Error{Kind: identity.Broken, What: "HTML"}, &identity.ResolveError{Kind: identity.Broken, What: "HTML"}},
		api.ProviderUnavailable: {&identity.Error{Kind: identity.Unavailable, What: "down", Err: context.DeadlineExceeded}, network},
		api.NotPaired:           {vault.ErrNotFound, &vault.Error{Store: "keyring:", Kind: vault.ErrNotFound, Err: errors.New(canary)}},
		api.Locked:              {vault.ErrLocked},
		api.StoreUnavailable:    {vault.ErrUnavailable, vault.ErrReadOnly, vault.ErrNoKey, vault.ErrBroken, &vault.Error{Store: "sealed:", Kind: vault.ErrNoKey, Why: "there is none", Todo: "make one"}},
		api.AuditUnavailable:    {audit.ErrUnavailable},
		api.Unavailable:         {context.Canceled, context.DeadlineExceeded, errStopping, &vault.Error{Store: "conjur:", Op: "read a", Kind: vault.ErrClosed}},
		api.ServerError:         {errBoom, errors.New(""), nil},
		api.SlowDown:            {&api.Error{Code: api.SlowDown, Description: "kept as it is"}},
	}
	for code, errs := range rows {
		for _, err := range errs {
			for _, err := range []error{err, fmt.Errorf("get a token with %s: %w", canary, err), errors.Join(errors.New(canary), err)} {
				e := Explain(err)
				if e.Code != code {
					t.Errorf("%v: %s, want %s", err, e.Code, code)
				}
				if said := fmt.Sprintf("%+v", *e); strings.Contains(said, canary) {
					t.Errorf("%v: repeats what it should not: %s", err, said)
				}
			}
		}
	}
}

func TestExplanationHasWhatHelps(t *testing.T) {
	wait := &session.WaitError{Err: &identity.Error{Kind: identity.Refused, Code: "invalid_client", What: "the secret was refused", Todo: "set it"}, RetryAfter: 59100 * time.Millisecond}
	if e := Explain(wait); e.RetryAfter != 60 || e.ProviderError != "invalid_client" || e.Error() != "the secret was refused: set it" {
		t.Errorf("%+v", e)
	}
	busy := &identity.ResolveError{Kind: identity.Unavailable, What: "the Identity Server asks for patience", RetryAfter: 6500 * time.Millisecond}
	if e := Explain(busy); e.Code != api.ProviderUnavailable || e.RetryAfter != 7 {
		t.Errorf("%+v", e)
	}
	locked := &vault.Error{Store: "keyring:", Op: "read", Kind: vault.ErrLocked, Why: "nobody is logged in", Todo: "log in"}
	if e := Explain(locked); e.Error() != "keyring: read: the store is locked (nobody is logged in): log in" {
		t.Errorf("%q", e)
	}
	unconfirmed := &identity.UnconfirmedError{TokenEndpoint: "https://b.example/token"}
	if e := Explain(unconfirmed); e.Field != "token_endpoint" || !strings.Contains(e.Hint, "--token-endpoint https://b.example/token") {
		t.Errorf("%+v", e)
	}
}

func TestExplanationIsTheCallersToChange(t *testing.T) {
	shared := &api.Error{Code: api.NotPaired}
	Explain(fmt.Errorf("x: %w", shared)).Profile = "changed"
	if shared.Profile != "" {
		t.Error("the error itself was changed")
	}
}
