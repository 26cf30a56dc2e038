// Package identity speaks OAuth 2.0 with Identity Server and any other provider;
// it is the only one that does.
//
//	Question ─► Resolve ─► Resolution      where the secret may be sent, and who said so
//	Request ─► ClientCredentials ─► Grant  a token with an end, or an *Error
//
// Nothing that a server sent ends in an error: no body, no description, and of
// its error codes only such as have an OAuth code's letters.
package identity

import (
	"net/http"
	"time"
)

// Client asks identity servers. It keeps nothing between calls and is for
// concurrent use.
type Client struct {
	http *http.Client
	now  func() time.Time
}

// New makes a Client that sends through hc, which comes from egress.New, and
// tells time by now; nil means time.Now.
func New(hc *http.Client, now func() time.Time) *Client {
	if now == nil {
		now = time.Now
	}
	return &Client{http: hc, now: now}
}

// wall is the time without the monotonic clock, which stands still while a
// machine sleeps.
func (c *Client) wall() time.Time { return c.now().Round(0) }
