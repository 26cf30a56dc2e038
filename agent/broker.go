package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"

	"keytender/agent/api"
	"keytender/agent/internal/audit"
	"keytender/agent/internal/door"
	"keytender/agent/internal/peer"
	"keytender/agent/internal/policy"
	"keytender/agent/internal/session"
)

// broker answers the workload door: it decides who may have what, takes the
// token from the session, and gives it out once the record is written.
type broker struct {
	owner    int // the OS user that runs the agent
	catalog  atomic.Pointer[catalog]
	sessions *session.Sessions
	audit    *audit.Log
	refusals *refusals
	log      *slog.Logger
}

// token serves one request. Nothing is looked up for a caller who may not
// have it, and nothing is given out that the audit did not take.
func (b *broker) token(ctx context.Context, caller peer.Caller, r door.TokenRequest) (*session.Token, bool, error) {
	record := recordOf(caller, r.Door)
	token, met, err := b.take(ctx, caller, r, &record)
	if err != nil {
		return nil, false, b.refuse(record, err)
	}
	record.Event, record.Fingerprint = "token", token.Fingerprint
	if err := b.audit.Append(record); err != nil {
		return nil, false, err
	}
	return token, met, nil
}

// take decides and takes the token. A ruling holds for the profile as it was:
// where that has changed meanwhile, the request is decided anew.
func (b *broker) take(ctx context.Context, caller peer.Caller, r door.TokenRequest, record *audit.Record) (*session.Token, bool, error) {
	for {
		p, key, err := b.decide(caller, r, record)
		if err != nil {
			return nil, false, err
		}
		token, met, err := b.sessions.Token(ctx, key, session.Want{MinValid: r.MinValid, Rejected: r.Rejected})
		changed := b.catalog.Load().profiles[p.Name] != p
		if !changed && !errors.Is(err, session.ErrForgotten) || ctx.Err() != nil {
			return token, met, err
		}
	}
}

// decide finds the profile and the flight of a request that the rules allow.
// A caller who may have nothing learns nothing: not even which profiles exist.
func (b *broker) decide(caller peer.Caller, r door.TokenRequest, record *audit.Record) (*profile, session.Key, error) {
	asked, err := policy.Scopes(r.Scope)
	if err != nil {
		return nil, session.Key{}, &api.Error{Code: api.InvalidScope, Description: err.Error(), Field: "scope"}
	}
	p, missing := b.catalog.Load().pick(r.Profile)
	request := policy.Request{Caller: policy.Caller{Known: caller.Known, UID: caller.UID}, AgentUID: b.owner, Scopes: asked}
	if missing == nil {
		request.Profile = policy.Profile{Name: p.Name, Scopes: p.Scopes}
	}
	ruling := policy.Decide(request)
	switch {
	case ruling.Allowed && missing != nil:
		return nil, session.Key{}, missing
	case !ruling.Allowed:
		record.Profile, record.Scopes, record.Ruling = request.Profile.Name, session.Canonical(asked), "r_"+rand.Text()[:8]
		return nil, session.Key{}, refusal(ruling, p)
	}
	key := p.key
	if len(asked) > 0 {
		key = p.keyFor(asked)
	}
	record.Profile, record.Scopes, record.Ruling = p.Name, key.Scopes, ruling.Rule
	return p, key, nil
}

// refusal is what a caller is told whom the rules refuse.
func refusal(r policy.Ruling, p *profile) *api.Error {
	if r.Reason == policy.ScopeNotInBounds {
		return &api.Error{Code: api.InvalidScope, Profile: p.Name, Field: "scope",
			Description: p.Name + " does not have every scope that was asked for", Hint: "it has " + strings.Join(p.Scopes, " ")}
	}
	return &api.Error{Code: api.AccessDenied, Description: "no rule lets you have this token", Hint: "ask as the OS user that runs the agent"}
}

// refuse records why a request got nothing, and returns what the caller is
// told.
func (b *broker) refuse(record audit.Record, err error) error {
	said := explain(err)
	if said.Code == api.ServerError {
		b.log.Error("a request failed inside the agent", "profile", record.Profile, "error", err)
	}
	if said.Profile == "" && said.Code != api.AccessDenied { // who is refused learns not even what there is
		said.Profile = record.Profile
	}
	record.Event, record.Code, record.Detail = "refused", string(said.Code), said.ProviderError
	ruling, err := b.refusals.add(record)
	if err != nil {
		return err
	}
	if strings.HasPrefix(ruling, "r_") {
		said.Ruling = ruling
	}
	return said
}

// recordOf begins the record of what a caller asks.
func recordOf(c peer.Caller, at string) audit.Record {
	record := audit.Record{UID: -1, PID: int(c.PID), Door: at, Source: c.Source, User: c.User}
	if c.Known {
		record.UID = int64(c.UID)
	}
	return record
}
