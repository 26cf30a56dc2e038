package door

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/audit"
	"keytender/agent/internal/identity"
	"keytender/agent/internal/policy"
	"keytender/agent/internal/session"
	"keytender/vault"
	"keytender/vault/egress"
)

// Explain is what callers and people are told of err: the one table from the
// errors of every package to codes, descriptions and hints. It never returns
// nil, and what it returns is the caller's to change. The text of an error
// that it does not know is left out, for nobody has looked at what it holds.
func Explain(err error) *api.Error {
	if waits, ok := errors.AsType[*session.WaitError](err); ok {
		e := Explain(waits.Err)
		e.RetryAfter = seconds(waits.RetryAfter)
		return e
	}
	if said, ok := errors.AsType[*api.Error](err); ok {
		again := *said
		return &again
	}
	for _, explain := range []func(error) *api.Error{ofPolicy, ofIdentity, ofVault, ofNetwork, ofSentinels} {
		if e := explain(err); e != nil {
			return e
		}
	}
	return &api.Error{Code: api.ServerError, Description: "something went wrong inside the agent", Hint: "look at the agent's log"}
}

// seconds are those of Retry-After, RFC 9110 section 10.2.3: whole, and rounded
// up, so that nobody asks too early.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

func ofPolicy(err error) *api.Error {
	if errors.Is(err, policy.ErrScope) {
		return &api.Error{Code: api.InvalidScope, Field: "scope", Description: "the scope is not a list of scope names", Hint: "write their names with one space between them"}
	}
	if errors.Is(err, policy.ErrName) {
		return &api.Error{Code: api.InvalidRequest, Field: "name", Description: "that is no name for a profile", Hint: "choose one of lower-case letters, digits, -, _ and ."}
	}
	return nil
}

// ofIdentity passes on Identity's own code, which package identity has reduced
// to what RFC 6749 lets a code be, and never its words.
func ofIdentity(err error) *api.Error {
	if other, ok := errors.AsType[*identity.UnconfirmedError](err); ok {
		return &api.Error{Code: api.InvalidRequest, Field: "token_endpoint", TokenEndpoint: other.TokenEndpoint,
			Description: "the Identity Server names a token endpoint on another origin: " + other.TokenEndpoint,
			Hint:        "if the secret may be sent there, confirm it: --token-endpoint " + other.TokenEndpoint}
	}
	if unresolved, ok := errors.AsType[*identity.ResolveError](err); ok {
		return &api.Error{Code: codeOf(unresolved.Kind, ""), Description: unresolved.What, Hint: unresolved.Todo, RetryAfter: seconds(unresolved.RetryAfter)}
	}
	said, ok := errors.AsType[*identity.Error](err)
	if !ok {
		return nil
	}
	return &api.Error{Code: codeOf(said.Kind, said.Code), Description: said.What, Hint: said.Todo, ProviderError: said.Code, RetryAfter: seconds(said.RetryAfter)}
}

func codeOf(k identity.Kind, provider string) api.Code {
	switch {
	case k == identity.Unavailable:
		return api.ProviderUnavailable
	case k == identity.Broken:
		return api.ProviderBroken
	case provider == string(api.InvalidScope):
		return api.InvalidScope
	}
	return api.ProviderRefused
}

// ofVault leaves out the cause, which is the store's own text.
func ofVault(err error) *api.Error {
	e := ofStore(err)
	said, ok := errors.AsType[*vault.Error](err)
	if e == nil || !ok {
		return e
	}
	where := strings.TrimSuffix(said.Store, ":") + ": "
	if said.Op != "" {
		where += said.Op + ": "
	}
	e.Description = where + e.Description
	if said.Why != "" {
		e.Description += " (" + said.Why + ")"
	}
	if said.Todo != "" {
		e.Hint = said.Todo
	}
	return e
}

func ofStore(err error) *api.Error {
	switch {
	case errors.Is(err, vault.ErrNotFound):
		return &api.Error{Code: api.NotPaired, Description: "there is nothing under that name", Hint: `run "keytender pair", or "keytender secret set NAME"`}
	case errors.Is(err, vault.ErrSealed):
		return &api.Error{Code: api.StoreUnavailable, Description: "the vault is sealed", Hint: "have its operators unseal it"}
	case errors.Is(err, vault.ErrLogin):
		return &api.Error{Code: api.StoreUnavailable, Description: "the login was refused", Hint: `give the store's credential again: "keytender secret set store/NAME"`}
	case errors.Is(err, vault.ErrDenied):
		return &api.Error{Code: api.StoreUnavailable, Description: "the store does not let the agent do this", Hint: "have the store's administrators allow it, or name another entry"}
	case errors.Is(err, vault.ErrLocked):
		return &api.Error{Code: api.Locked, Description: "the store is locked", Hint: "unlock the keyring, then ask again"}
	case errors.Is(err, vault.ErrNoKey):
		return &api.Error{Code: api.StoreUnavailable, Description: "no key opens the store", Hint: `give the agent the key that sealed it, or run "keytender store init"`}
	case errors.Is(err, vault.ErrClosed):
		return &api.Error{Code: api.Unavailable, Description: "the store is opened anew, because its configuration or its credential changed", Hint: "ask again in a second", RetryAfter: 1}
	case errors.Is(err, vault.ErrBusy):
		return &api.Error{Code: api.StoreUnavailable, Description: "the entry is being changed", Hint: "ask again in a minute"}
	case errors.Is(err, vault.ErrReadOnly):
		return &api.Error{Code: api.StoreUnavailable, Description: "the store takes no changes", Hint: "change the secret where the store is kept, or choose another store"}
	case errors.Is(err, vault.ErrBroken):
		return &api.Error{Code: api.StoreUnavailable, Description: "what the store has cannot be used", Hint: `give the secret again: "keytender secret set NAME"`}
	case errors.Is(err, vault.ErrUnavailable):
		return &api.Error{Code: api.StoreUnavailable, Description: "the store does not answer", Hint: `run "keytender doctor"`}
	}
	return nil
}

// ofNetwork is for requests whose errors nobody has explained yet.
func ofNetwork(err error) *api.Error {
	if _, ok := errors.AsType[*url.Error](err); !ok {
		return nil
	}
	what, todo := egress.Explain(err)
	return &api.Error{Code: api.ProviderUnavailable, Description: what, Hint: todo}
}

func ofSentinels(err error) *api.Error {
	switch {
	case errors.Is(err, audit.ErrUnavailable):
		return &api.Error{Code: api.AuditUnavailable, Description: "the audit log cannot be written, and without a record there is no token", Hint: "see that its disk has room and can be written, then ask again"}
	case errors.Is(err, errStopping), errors.Is(err, context.Canceled):
		return &api.Error{Code: api.Unavailable, Description: "the agent is stopping", Hint: "ask again in a second", RetryAfter: 1}
	case errors.Is(err, context.DeadlineExceeded):
		return &api.Error{Code: api.Unavailable, Description: "the answer took too long", Hint: `ask again, and if it stays so, run "keytender doctor"`, RetryAfter: 1}
	}
	return nil
}

// notAllowed is for callers whom the admin door does not let in.
func notAllowed(err error) *api.Error {
	if said, ok := errors.AsType[*api.Error](err); ok {
		return said
	}
	return &api.Error{Code: api.AccessDenied, Description: "the admin door is not open to you", Hint: "ask as the OS user that runs the agent"}
}
