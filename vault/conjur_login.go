package vault

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// conjurRenewal is how old a token is used: it lives 8 minutes, unless Conjur's
// operators say otherwise, and then a 401 tells.
const conjurRenewal = 5 * time.Minute

// conjurSession is one login.
type conjurSession struct {
	client *http.Client
	token  Secret // as the header wants it
	until  time.Time
}

func (c *conjur) checkLogin(config Config) error {
	known := []string{"ca", "timeout", "refresh", "write", "fields", "login.method", "login.username"}
	needed := []string{"login.username"}
	switch c.login.Method {
	case "api_key":
	case "jwt":
		needed = []string{"login.service", "login.token_file"}
		known = append(known, needed...)
	default:
		return wrong("login.method", "%q: it is api_key, or jwt for a token that another program writes to a file", c.login.Method)
	}
	if err := config.only(known...); err != nil {
		return err
	}
	if err := config.needs(needed...); err != nil {
		return err
	}
	for field, name := range map[string]string{"login.username": c.login.Username, "login.service": c.login.Service} {
		if name == "" {
			continue
		}
		if err := checkSharedName(name); err != nil {
			return wrong(field, "%w", err)
		}
	}
	return nil
}

// who logs in, for people.
func (c *conjur) who() string {
	if c.login.Username == "" {
		return "the host that the token is for"
	}
	return c.login.Username
}

func (c *conjur) take(ctx context.Context, op string) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return c.unanswered(ctx, op, ctx.Err())
	}
}

func (c *conjur) give() { <-c.turn }

// session is the login that there is, unless that is too old or the one that was
// refused; then it logs in.
func (c *conjur) session(ctx context.Context, op string, refused *conjurSession) (*conjurSession, error) {
	if err := c.take(ctx, op); err != nil {
		return nil, err
	}
	defer c.give()
	if s := c.held; s != nil && s != refused && c.now().Before(s.until) {
		return s, nil
	}
	return c.logIn(ctx)
}

// logIn logs in, for whoever has the turn.
func (c *conjur) logIn(ctx context.Context) (*conjurSession, error) {
	c.held = nil
	client, err := c.client(nil)
	if err != nil { // of a file in our configuration, in the system's words
		return nil, c.refusal("log in", ErrUnavailable, err.Error(), "check ca at the store in config.yaml")
	}
	to, kind, proof, err := c.proof(ctx)
	if err != nil {
		return nil, err
	}
	began := c.now()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(proof.Reveal()))
	if err != nil {
		return nil, c.unanswered(ctx, "log in", err)
	}
	r.Header.Set("Content-Type", kind)
	status, token, err := c.send(ctx, client, "log in", r)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, c.noLogin(status)
	}
	var parts struct{ Protected, Payload, Signature string }
	if json.Unmarshal(token, &parts) != nil || parts.Payload == "" || parts.Signature == "" {
		return nil, c.refusal("log in", ErrUnavailable, c.at.host+" answers, but not as Conjur does", "check host and port of the store's address")
	}
	c.held = &conjurSession{client: client, token: NewSecret(`Token token="` + base64.StdEncoding.EncodeToString(token) + `"`), until: began.Add(conjurRenewal)}
	return c.held, nil
}

// proof is where the login goes, and what proves who the agent is.
func (c *conjur) proof(ctx context.Context) (to, kind string, proof Secret, err error) {
	account := url.PathEscape(c.account)
	if c.login.Method == "api_key" {
		key, err := c.credential(ctx)
		return c.base() + "/authn/" + account + "/" + url.PathEscape(c.login.Username) + "/authenticate", "text/plain", key, err
	}
	to = c.base() + "/authn-jwt/" + url.PathEscape(c.login.Service) + "/" + account
	if c.login.Username != "" {
		to += "/" + url.PathEscape(c.login.Username)
	}
	token, err := os.ReadFile(c.login.TokenFile)
	token = bytes.TrimSpace(token)
	if err == nil && (len(token) == 0 || len(token) > 64<<10) {
		err = fmt.Errorf("%s holds no token", c.login.TokenFile)
	}
	if err != nil {
		return "", "", Secret{}, c.refusal("log in", ErrLogin, err.Error(), "see that the program that writes the file runs, and that the agent may read it")
	}
	return to + "/authenticate", "application/x-www-form-urlencoded", NewSecret("jwt=" + url.QueryEscape(string(token))), nil
}

// noLogin is what a status other than 200 means at the login.
func (c *conjur) noLogin(status int) error {
	what, todo := "the API key of "+c.who(), `give its key with "keytender secret set store/NAME"; if it is the right one, see that the account is right and that its restricted_to allows this machine`
	if c.login.Method == "jwt" {
		what = "the token in " + c.login.TokenFile + " for the authenticator " + c.login.Service
		todo = "see that the authenticator is enabled, that the token is in time and has the claims that the host's annotations want, and that the host may authenticate there"
	}
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		return c.refusal("log in", ErrLogin, fmt.Sprintf("Conjur does not take %s in the account %s (%d)", what, c.account, status), todo)
	case http.StatusNotFound:
		return c.refusal("log in", ErrLogin, c.at.host+" has no such login (404)", "check host and account of the store's address, and login.service: this may be another server than Conjur")
	}
	return c.refusal("log in", ErrUnavailable, fmt.Sprintf("%s answers %d", c.at.host, status), "try again; if it stays, have Conjur's operators look at its log")
}

// do asks for a variable or sets it. A token that is not known any more is
// replaced once.
func (c *conjur) do(ctx context.Context, op, method, id, value string) (status int, body []byte, err error) {
	var refused *conjurSession
	for {
		s, err := c.session(ctx, op, refused)
		if err != nil {
			return 0, nil, err
		}
		r, err := http.NewRequestWithContext(ctx, method, c.variable(id), strings.NewReader(value))
		if err != nil {
			return 0, nil, c.unanswered(ctx, op, err)
		}
		r.Header.Set("Authorization", s.token.Reveal())
		if method == http.MethodPost { // the body is the value itself; the vendor's own clients call it so
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		status, body, err := c.send(ctx, s.client, op, r)
		if err != nil || status != http.StatusUnauthorized || refused != nil {
			return status, body, err
		}
		refused = s
	}
}

func (c *conjur) send(ctx context.Context, client *http.Client, op string, r *http.Request) (status int, body []byte, err error) {
	answer, err := client.Do(r)
	if err != nil {
		return 0, nil, c.unanswered(ctx, op, err)
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	if err != nil {
		return 0, nil, c.unanswered(ctx, op, err)
	}
	return answer.StatusCode, body, nil
}
