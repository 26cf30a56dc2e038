package door

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/peer"
)

// Admin is what the admin door asks of the agent, for callers whom
// Options.Allow lets in. Each function stops when its context ends, which it
// does when the caller hangs up.
type Admin struct {
	// Pair pairs a profile. It calls step from its own goroutine only, and
	// not after it has returned.
	Pair func(ctx context.Context, c peer.Caller, p api.Pairing, step func(api.Step)) (api.PairResult, error)
	// Migrate moves a profile's secret to another store; step as for Pair.
	Migrate func(ctx context.Context, c peer.Caller, profile string, m api.Migration, step func(api.Step)) (api.Moved, error)
	// Rotate gives a profile a new secret; step as for Pair.
	Rotate    func(ctx context.Context, c peer.Caller, profile string, r api.Rotation, step func(api.Step)) (api.Rotated, error)
	Unpair    func(ctx context.Context, c peer.Caller, profile string) error
	SetSecret func(ctx context.Context, c peer.Caller, profile, secret string) error
	Reload    func(ctx context.Context, c peer.Caller) (api.Reloaded, error)
	Retry     func(ctx context.Context, c peer.Caller, profile string) error
	Status    func(ctx context.Context, c peer.Caller) (api.Status, error)
	Doctor    func(ctx context.Context, c peer.Caller, profile string) (api.Doctor, error)
	// Audit calls each with the chosen records, oldest first, until it returns
	// an error, which Audit then returns.
	Audit func(ctx context.Context, c peer.Caller, f api.AuditFilter, each func(json.RawMessage) error) error
}

// NewAdmin is the admin door: unix sockets only.
func NewAdmin(a Admin, o Options) *Server {
	s := newServer(o, false)
	s.routes = a.routes
	return s
}

// routes lets in whom Allow lets in, before anything else is looked at.
func (a Admin) routes(x *exchange) {
	caller, ok := x.enter()
	if !ok {
		return
	}
	defer x.leave()
	if err := x.server.options.Allow(caller); err != nil {
		x.hangUp()
		x.refuse(notAllowed(err))
		return
	}
	switch x.path {
	case "/v1/admin/pairings":
		inSteps(x, func(ctx context.Context, p api.Pairing, step func(api.Step)) (api.PairResult, error) {
			return a.Pair(ctx, caller, p, step)
		})
	case "/v1/admin/reload":
		a.reload(x, caller)
	case "/v1/admin/status":
		a.status(x, caller)
	case "/v1/admin/doctor":
		a.doctor(x, caller)
	case "/v1/admin/audit":
		a.audit(x, caller)
	default:
		a.named(x, caller)
	}
}

// named are the routes that end in the name of a profile.
func (a Admin) named(x *exchange, caller peer.Caller) {
	if name, ok := x.after("/v1/admin/profiles/"); ok {
		if x.expects(http.MethodDelete) && x.asksNothing() {
			x.done(a.Unpair(x.r.Context(), caller, name))
		}
	} else if name, ok := x.after("/v1/admin/retry/"); ok {
		if x.expects(http.MethodPost) && x.expectsNoBody() && x.asksNothing() {
			x.done(a.Retry(x.r.Context(), caller, name))
		}
	} else if name, ok := x.after("/v1/admin/secrets/"); ok {
		var change api.SecretChange
		if x.expects(http.MethodPut) && x.asksNothing() && x.body(&change) {
			x.done(a.SetSecret(x.r.Context(), caller, name, change.Secret))
		}
	} else if name, ok := x.after("/v1/admin/migrate/"); ok {
		inSteps(x, func(ctx context.Context, m api.Migration, step func(api.Step)) (api.Moved, error) {
			return a.Migrate(ctx, caller, name, m, step)
		})
	} else if name, ok := x.after("/v1/admin/rotate/"); ok {
		inSteps(x, func(ctx context.Context, r api.Rotation, step func(api.Step)) (api.Rotated, error) {
			return a.Rotate(ctx, caller, name, r, step)
		})
	} else {
		x.unknown()
	}
}

// after is the last part of the path, decoded. A name of two parts,
// "store/NAME", has its slash escaped.
func (x *exchange) after(prefix string) (string, bool) {
	escaped, ok := strings.CutPrefix(x.path, prefix)
	if !ok || strings.Contains(escaped, "/") {
		return "", false
	}
	name, err := url.PathUnescape(escaped)
	return name, err == nil && name != "" && len(name) <= longestValue && isText(name)
}

func (x *exchange) done(err error) {
	if err != nil {
		x.fail(err)
		return
	}
	x.answer(http.StatusOK, struct{}{})
}

func (a Admin) reload(x *exchange, caller peer.Caller) {
	if !x.expects(http.MethodPost) || !x.expectsNoBody() || !x.asksNothing() {
		return
	}
	reloaded, err := a.Reload(x.r.Context(), caller)
	x.reply(reloaded, err)
}

func (a Admin) status(x *exchange, caller peer.Caller) {
	if !x.plain() {
		return
	}
	status, err := a.Status(x.r.Context(), caller)
	x.reply(status, err)
}

func (a Admin) doctor(x *exchange, caller peer.Caller) {
	given, ok := x.expectsGet("profile")
	if !ok {
		return
	}
	found, err := a.Doctor(x.r.Context(), caller, given["profile"])
	x.reply(found, err)
}

// audit streams records as JSON lines. A log that breaks off under way breaks
// off the answer too, so that nobody takes a part for the whole.
func (a Admin) audit(x *exchange, caller peer.Caller) {
	given, ok := x.expectsGet("since", "profile")
	if !ok {
		return
	}
	filter := api.AuditFilter{Profile: given["profile"]}
	if since := given["since"]; since != "" {
		at, err := time.Parse(time.RFC3339Nano, since)
		if err != nil {
			x.refuse(wrong("since", `not a time: write it like "2026-11-21T00:00:00Z"`))
			return
		}
		filter.Since = at
	}
	lines := x.stream("application/jsonl")
	err := a.Audit(x.r.Context(), caller, filter, func(record json.RawMessage) error {
		return lines.write(append(slices.Clip(record), '\n'))
	})
	switch {
	case err == nil:
		lines.begin()
	case lines.begun:
		panic(http.ErrAbortHandler)
	default:
		x.fail(err)
	}
}
