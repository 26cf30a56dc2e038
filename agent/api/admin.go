package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Admin asks the admin door: pairing, secrets, and a look at everything. The
// zero value finds the agent by itself. Like Client, it is safe for many
// goroutines, and every error is an *Error.
type Admin struct {
	// Socket is the path of the admin socket; empty means
	// AdminSocketFor(FindSocket("")).
	Socket string

	once sync.Once
	door *door
}

func (a *Admin) dial() *door {
	a.once.Do(func() {
		socket := a.Socket
		if socket == "" {
			socket = AdminSocketFor(FindSocket(""))
		}
		a.door = newDoor(socket, false) // its requests change things, so none is ever sent twice
	})
	return a.door
}

// Pair pairs a profile and calls step after each step that is done. The
// secret is proven with a first token before it is stored; a pairing that
// fails leaves nothing behind.
func (a *Admin) Pair(ctx context.Context, p Pairing, step func(Step)) (PairResult, error) {
	var result PairResult
	err := a.steps(ctx, "/v1/admin/pairings", p, step, &result)
	return result, err
}

// Migrate moves the secret of a paired profile to another store that
// config.yaml names, and calls step after each step that is done.
func (a *Admin) Migrate(ctx context.Context, profile string, m Migration, step func(Step)) (Moved, error) {
	var moved Moved
	err := a.steps(ctx, "/v1/admin/migrate/"+url.PathEscape(profile), m, step, &moved)
	return moved, err
}

// Rotate gives a profile a new secret for the same client id, and calls step
// after each step that is done. After an error whose hint says so, the same call
// goes on where it stopped.
func (a *Admin) Rotate(ctx context.Context, profile string, r Rotation, step func(Step)) (Rotated, error) {
	var rotated Rotated
	err := a.steps(ctx, "/v1/admin/rotate/"+url.PathEscape(profile), r, step, &rotated)
	return rotated, err
}

// steps sends a request that is answered by events: each "step", then "done",
// which is decoded into result, or "error".
func (a *Admin) steps(ctx context.Context, path string, body any, step func(Step), result any) error {
	return a.dial().events(ctx, path, body, func(name string, data []byte) error {
		switch name {
		case "step":
			var s Step
			if err := json.Unmarshal(data, &s); err != nil {
				return err
			}
			if step != nil {
				step(s)
			}
			return nil
		case "error":
			failed := new(Error)
			if err := json.Unmarshal(data, failed); err != nil {
				return err
			}
			return failed
		case "done":
			if err := json.Unmarshal(data, result); err != nil {
				return err
			}
			return errLastEvent
		}
		return nil
	})
}

// Unpair forgets a paired profile, its tokens and its secret.
func (a *Admin) Unpair(ctx context.Context, profile string) error {
	return a.dial().call(ctx, http.MethodDelete, "/v1/admin/profiles/"+url.PathEscape(profile), nil, nil)
}

// SetSecret replaces the secret of a profile; like a pairing, it proves the
// secret with a token before it stores it.
func (a *Admin) SetSecret(ctx context.Context, profile, secret string) error {
	return a.dial().call(ctx, http.MethodPut, "/v1/admin/secrets/"+url.PathEscape(profile), SecretChange{Secret: secret}, nil)
}

// Reload has the agent read config.yaml again. An invalid file changes
// nothing and is reported.
func (a *Admin) Reload(ctx context.Context) (Reloaded, error) {
	var r Reloaded
	err := a.dial().call(ctx, http.MethodPost, "/v1/admin/reload", nil, &r)
	return r, err
}

// Retry forgets what a profile's remembered errors say, so that the next
// request asks Identity again.
func (a *Admin) Retry(ctx context.Context, profile string) error {
	return a.dial().call(ctx, http.MethodPost, "/v1/admin/retry/"+url.PathEscape(profile), nil, nil)
}

// Status is the whole status.
func (a *Admin) Status(ctx context.Context) (Status, error) {
	var status Status
	err := a.dial().call(ctx, http.MethodGet, "/v1/admin/status", nil, &status)
	return status, err
}

// Doctor has the agent try everything that a token depends on: for one
// profile, or for all when profile is empty. It takes as long as the servers
// take to answer.
func (a *Admin) Doctor(ctx context.Context, profile string) (Doctor, error) {
	var d Doctor
	q := url.Values{}
	if profile != "" {
		q.Set("profile", profile)
	}
	err := a.dial().call(ctx, http.MethodGet, "/v1/admin/doctor?"+q.Encode(), nil, &d)
	return d, err
}

// AuditFilter chooses audit records; its zero value chooses all.
type AuditFilter struct {
	Since   time.Time
	Profile string
}

// Audit copies the chosen audit records to w as JSON lines, oldest first.
func (a *Admin) Audit(ctx context.Context, f AuditFilter, w io.Writer) error {
	q := url.Values{}
	if !f.Since.IsZero() {
		q.Set("since", f.Since.UTC().Format(time.RFC3339Nano))
	}
	if f.Profile != "" {
		q.Set("profile", f.Profile)
	}
	return a.dial().copy(ctx, "/v1/admin/audit?"+q.Encode(), w)
}

// Close closes the idle connections.
func (a *Admin) Close() { a.dial().http.CloseIdleConnections() }
