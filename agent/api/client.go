package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Client asks the workload door for tokens, as the process that uses it. The
// zero value finds the agent by itself (see FindSocket) and is ready to use;
// it is safe for many goroutines and keeps its connections.
//
// Every error is an *Error: one that the agent answered, or, when nobody
// answers at the socket, one with the code Unavailable.
type Client struct {
	// Socket is the path of the workload socket; empty means FindSocket("").
	Socket string

	once sync.Once
	door *door
}

func (c *Client) dial() *door {
	c.once.Do(func() { c.door = newDoor(FindSocket(c.Socket), true) })
	return c.door
}

// restartLimit bounds how long Token asks again while the agent restarts.
const restartLimit = 5 * time.Second

// Token gets an access token for a profile. An agent that says it is about to
// be back, as one that restarts does, is asked again for up to 5 s.
func (c *Client) Token(ctx context.Context, r TokenRequest) (Token, error) {
	over := time.Now().Add(restartLimit)
	var told *Error // that the agent is about to be back
	for {
		var token Token
		err := c.dial().call(ctx, http.MethodGet, "/v1/token?"+r.query().Encode(), nil, &token)
		failed, ok := errors.AsType[*Error](err)
		if !ok || failed.Code != Unavailable {
			return token, err
		}
		if failed.RetryAfter > 0 {
			told = failed
		}
		if told == nil {
			return token, err
		}
		pause := time.Duration(told.RetryAfter) * time.Second
		if time.Now().Add(pause).After(over) {
			return token, told
		}
		select {
		case <-ctx.Done():
			return token, told
		case <-time.After(pause):
		}
	}
}

func (r TokenRequest) query() url.Values {
	q := url.Values{}
	set := func(key, value string) {
		if value != "" {
			q.Set(key, value)
		}
	}
	set("profile", r.Profile)
	set("scope", strings.Join(r.Scopes, " "))
	set("rejected", r.Rejected)
	set("min_valid", duration(r.MinValid))
	set("wait", duration(r.Wait))
	return q
}

func duration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// Profiles lists the profiles that the caller may use.
func (c *Client) Profiles(ctx context.Context) ([]Profile, error) {
	var list struct {
		Profiles []Profile `json:"profiles"`
	}
	err := c.dial().call(ctx, http.MethodGet, "/v1/profiles", nil, &list)
	return list.Profiles, err
}

// Status is the agent's state as the caller may see it.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var status Status
	err := c.dial().call(ctx, http.MethodGet, "/v1/status", nil, &status)
	return status, err
}

// Ready returns nil once the agent can give tokens, else why it cannot.
func (c *Client) Ready(ctx context.Context) error {
	return c.dial().call(ctx, http.MethodGet, "/readyz", nil, nil)
}

// Close closes the idle connections.
func (c *Client) Close() { c.dial().http.CloseIdleConnections() }
