package identity

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"keytender/vault"
	"keytender/vault/egress"
)

// Request asks for a token by client credentials (RFC 6749 §4.4).
type Request struct {
	TokenEndpoint string // of a Resolution
	ClientID      string
	Secret        vault.Secret
	Scopes        []string
	Audience      string        // "" for none
	Lifetime      time.Duration // of a token whose end is told by nothing else; 0: there must be an end
}

// Grant is a token that Identity issued.
type Grant struct {
	Access    vault.Secret // visible ASCII, at most 16 KiB, never empty
	Type      string       // "Bearer"
	IssuedAt  time.Time    // when it was asked for, wall clock
	ExpiresAt time.Time    // later than now, at most a year after IssuedAt, wall clock
	Scope     string       // as granted, at most 4 KiB of RFC 6749 §3.3's letters; as asked where the reply has none
}

// ClientCredentials gets a token. The secret goes in the body of one POST to the
// token endpoint and is sent nowhere else, whatever is answered; nothing is
// tried twice. An audience goes as `audience`, and as RFC 8707's `resource` too
// if it is an absolute URI: servers ignore the one they do not know.
//
// Every error is an *Error.
func (c *Client) ClientCredentials(ctx context.Context, r Request) (Grant, error) {
	endpoint, err := endpointOf(document{TokenEndpoint: r.TokenEndpoint})
	if err != nil {
		return Grant{}, &Error{Kind: Refused, What: "the secret was not sent: " + err.Error(), Todo: "check the address of the Identity Server"}
	}
	if r.ClientID == "" || r.Secret.IsZero() {
		return Grant{}, &Error{Kind: Refused, What: "client id or secret is missing", Todo: "pair the profile again"}
	}
	talk := &exchange{next: c.http.Transport}
	config := clientcredentials.Config{
		ClientID:       r.ClientID,
		ClientSecret:   r.Secret.Reveal(),
		TokenURL:       endpoint.String(),
		Scopes:         r.Scopes,
		EndpointParams: audience(r.Audience),
		AuthStyle:      oauth2.AuthStyleInParams,
	}
	began := c.wall()
	token, err := config.Token(context.WithValue(ctx, oauth2.HTTPClient, talk.client(c.http.Timeout)))
	if !talk.answered {
		if err == nil {
			err = errors.New("nothing was answered")
		}
		return Grant{}, unanswered(err)
	}
	server := "the Identity Server at " + egress.Origin(endpoint)
	if err != nil {
		return Grant{}, talk.refusal(r, server, err, c.wall())
	}
	g, broken := readGrant(token, r, talk.date(), began, c.wall())
	if broken != "" {
		return Grant{}, &Error{Kind: Broken, Status: talk.status, What: server + " " + broken, Todo: "ask its administrator; token_lifetime in the profile tells how long tokens live where a server does not"}
	}
	return g, nil
}

func audience(name string) url.Values {
	if name == "" {
		return nil
	}
	v := url.Values{"audience": {name}}
	if u, err := url.Parse(name); err == nil && u.IsAbs() && u.Fragment == "" {
		v.Set("resource", name)
	}
	return v
}

// exchange is the transport of one token request. It reads the whole answer
// before x/oauth2 sees it, so that what became of it is known from here and not
// from x/oauth2's errors, which quote the body.
type exchange struct {
	next     http.RoundTripper
	answered bool
	status   int
	header   http.Header
}

func (e *exchange) client(timeout time.Duration) *http.Client {
	return &http.Client{Transport: e, Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // egress refuses redirects itself; no other transport may follow one either
	}}
}

func (e *exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	next := e.next
	if next == nil {
		next = http.DefaultTransport
	}
	answer, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(http.MaxBytesReader(nil, answer.Body, egress.MaxBody))
	if err != nil {
		return nil, err
	}
	e.answered, e.status, e.header = true, answer.StatusCode, answer.Header.Clone()
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		answer.Header.Set("Content-Type", "application/json") // some call it text/plain, which x/oauth2 takes for a form
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, nil
}

// date is the server's clock; zero if it showed none.
func (e *exchange) date() time.Time { return egress.Date(e.header) }
