package agent

import (
	"errors"
	"strconv"

	"keytender/agent/api"
	"keytender/agent/internal/door"
	"keytender/agent/internal/orchestrator"
	"keytender/agent/internal/session"
)

// explain is what people and programs are told of an error: the agent's own
// cases here, everything else by the doors' table.
func explain(err error) *api.Error {
	if e, ok := errors.AsType[*fieldError](err); ok {
		return &api.Error{Code: api.InvalidRequest, Field: e.field, Description: e.err.Error(), Hint: "mend " + strconv.Quote(e.field) + " and try again"}
	}
	if e, ok := errors.AsType[*otherOriginError](err); ok {
		said := &api.Error{Code: api.ProviderRefused, Description: e.Error() + ": nothing was sent",
			Hint: `if the new address is right, give the secret for it: pair again, or run "keytender secret set NAME"`}
		if e.said != "" {
			said.Hint = "if that is right, add it to origins at the store in config.yaml, and reload"
		}
		return said
	}
	if e, ok := errors.AsType[*orchestrator.SecretsError](err); ok {
		return &api.Error{Code: codeOf(e.Kind), Description: e.What, Hint: e.Todo, RetryAfter: int(e.RetryAfter.Seconds())}
	}
	switch {
	case errors.Is(err, session.ErrForgotten), errors.Is(err, session.ErrClosed):
		return &api.Error{Code: api.Unavailable, Description: err.Error(), Hint: "ask again in a second", RetryAfter: 1}
	case errors.Is(err, session.ErrFull):
		return &api.Error{Code: api.SlowDown, Description: err.Error(), Hint: "ask for fewer different scopes", RetryAfter: 60}
	}
	return door.Explain(err)
}

// codeOf is the code for what an administration of secrets answered.
func codeOf(k orchestrator.Kind) api.Code {
	switch k {
	case orchestrator.Unavailable:
		return api.ProviderUnavailable
	case orchestrator.Broken:
		return api.ProviderBroken
	}
	return api.ProviderRefused
}
