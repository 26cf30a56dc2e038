package vault

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// conjur is a policy branch of an account in CyberArk Conjur:
//
//	name ─► login, kept for 5 minutes ─► GET /secrets/ACCOUNT/variable/POLICY%2FNAME ─► value
//	                                  └► nothing there: …%2FNAME%2Fpassword and …%2Fusername
//
// An entry is one variable, whose value is the secret or a credential in JSON, or
// two variables below its name, Conjur's usual form. Variables are made and
// removed by policy, which the agent does not load.
//
// It speaks the four requests itself; docs/decisions/0014 says why. CyberArk:
// "Conjur REST API", and the server's own source.
type conjur struct {
	link
	fields  Fields
	login   Login
	write   bool
	account string
	policy  string // with a "/" at the end, or ""
	now     func() time.Time

	turn chan struct{} // full while somebody looks at held or logs in
	held *conjurSession
}

func openConjur(c Config, o Options) (asked, error) {
	o = o.filled()
	l, err := newLink(c, o)
	if err != nil {
		return nil, err
	}
	if len(l.at.path) == 0 {
		return nil, wrong("url", "the account is missing: write conjur://HOST/ACCOUNT, and a policy behind it: conjur://HOST/ACCOUNT/POLICY")
	}
	s := &conjur{
		link: l, fields: c.Fields, login: c.Login, write: c.Write, account: l.at.path[0], now: o.Now,
		turn: make(chan struct{}, 1),
	}
	if branch := l.at.path[1:]; len(branch) > 0 {
		s.policy = strings.Join(branch, "/") + "/"
	}
	if s.userVariable() == s.secretVariable() {
		return nil, wrong("fields", "user name and secret cannot both be %q", s.secretVariable())
	}
	if err := c.Fields.check(); err != nil {
		return nil, err
	}
	return s, s.checkLogin(c)
}

func (c *conjur) userVariable() string { return cmp.Or(c.fields.Username, "username") }

func (c *conjur) secretVariable() string { return cmp.Or(c.fields.Secret, "password") }

func (c *conjur) Get(ctx context.Context, name string) (Entry, error) {
	found, err := c.find(ctx, "read "+name, name)
	if err != nil {
		return Entry{}, err
	}
	if !found.pair {
		return c.pickJSON(name, found.text, c.fields)
	}
	return Entry{Username: found.username, Secret: NewSecret(found.text)}, nil
}

// conjurEntry is an entry as Conjur has it.
type conjurEntry struct {
	text     string
	pair     bool // text and username are two variables
	username string
}

// find reads an entry. Only where there is no variable of that name are the two
// below it looked for.
func (c *conjur) find(ctx context.Context, op, name string) (conjurEntry, error) {
	id := c.policy + name
	text, there, err := c.read(ctx, op, id)
	if err != nil || there {
		return conjurEntry{text: text}, err
	}
	text, there, err = c.read(ctx, op, id+"/"+c.secretVariable())
	if err != nil {
		return conjurEntry{}, err
	}
	if !there {
		return conjurEntry{}, c.nowhere(op, id)
	}
	username, _, err := c.read(ctx, op, id+"/"+c.userVariable())
	return conjurEntry{text: text, pair: true, username: username}, err
}

// read is the value of a variable, and whether there is one.
func (c *conjur) read(ctx context.Context, op, id string) (text string, there bool, err error) {
	status, body, err := c.do(ctx, op, http.MethodGet, id, "")
	switch {
	case err != nil:
		return "", false, err
	case status == http.StatusNotFound:
		return "", false, nil
	case status != http.StatusOK:
		return "", false, c.refused(op, status, "execute", id)
	case !utf8.Valid(body):
		return "", false, c.refusal(op, ErrBroken, "the value of "+id+" is not text", "")
	case len(body) == 0:
		return "", false, c.refusal(op, ErrBroken, "the value of "+id+" is empty", "")
	}
	return string(body), true, nil
}

// Put gives the variables that are there another value. A user name that is
// kept in a variable of its own stays where e has none: Conjur takes no empty
// value.
func (c *conjur) Put(ctx context.Context, name string, e Entry) error {
	op, id := "store "+name, c.policy+name
	if !c.write {
		return c.readOnly(op)
	}
	if !utf8.ValidString(e.Secret.Reveal()) {
		return fmt.Errorf("store %s: the secret is not text (UTF-8)", name)
	}
	now, err := c.find(ctx, op, name)
	none := errors.Is(err, ErrNotFound)
	if err != nil && !none {
		return err
	}
	if !now.pair {
		err := c.set(ctx, op, id, c.text(name, now.text, e))
		if !none || !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	// Two variables: what could fail for good, a user name without one, first.
	if e.Username != "" && e.Username != now.username {
		err = c.set(ctx, op, id+"/"+c.userVariable(), e.Username)
	} else {
		err = nil
	}
	if err == nil {
		err = c.set(ctx, op, id+"/"+c.secretVariable(), e.Secret.Reveal())
	}
	if none && errors.Is(err, ErrNotFound) {
		return c.nowhere(op, id)
	}
	return err
}

// text is a value that reads back as e: the secret itself where that will do,
// else a credential in JSON, which keeps what else is in the one that is there.
func (c *conjur) text(name, now string, e Entry) string {
	values, _ := object(now)
	credential := isText(values[userField(c.fields)]) && isText(values[passwordField])
	if c.fields.Secret == "" && !credential {
		secret := e.Secret.Reveal()
		back, err := c.pickJSON(name, secret, c.fields)
		if e.Username == "" && err == nil && back.Username == "" && back.Secret.Equal(e.Secret) && strings.TrimSpace(secret) != "" {
			return secret
		}
		values = map[string]any{userField(c.fields): "", passwordField: ""}
	}
	text, err := json.Marshal(fill(name, values, c.fields, e))
	if err != nil {
		return "" // fill makes no map that cannot be written; Conjur refuses an empty value
	}
	return string(text)
}

// set gives a variable another value.
func (c *conjur) set(ctx context.Context, op, id, value string) error {
	status, _, err := c.do(ctx, op, http.MethodPost, id, value)
	switch {
	case err != nil:
		return err
	case status/100 == 2:
		return nil
	case status == http.StatusNotFound:
		return c.nowhere(op, id)
	case status == http.StatusMethodNotAllowed:
		return c.refusal(op, ErrDenied, "Conjur makes the value of "+id+" itself", "name another entry")
	case status == http.StatusUnprocessableEntity:
		return c.refusal(op, ErrDenied, "Conjur does not take such a value for "+id, "")
	}
	return c.refused(op, status, "update", id)
}

// Delete cannot: Conjur's API changes values and removes none.
func (c *conjur) Delete(ctx context.Context, name string) error {
	op := "delete " + name
	if !c.write {
		return c.readOnly(op)
	}
	_, err := c.find(ctx, op, name)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return c.refusal(op, ErrDenied, "Conjur's variables are removed by policy alone", "have "+c.policy+name+" removed by policy (!delete), or its value replaced")
}

// Check logs in anew, which needs no entry.
func (c *conjur) Check(ctx context.Context) error {
	if err := c.take(ctx, "check"); err != nil {
		return err
	}
	defer c.give()
	_, err := c.logIn(ctx)
	return err
}

// Close forgets the login. Conjur has no way to end one.
func (c *conjur) Close() error {
	c.turn <- struct{}{}
	defer c.give()
	c.held = nil
	return nil
}

// base is where Conjur's routes begin; CyberArk's own cloud has them below /api.
func (c *conjur) base() string {
	host, _, _ := strings.Cut(strings.ToLower(c.at.host), ":")
	if strings.HasSuffix(host, ".secretsmgr.cyberark.cloud") || strings.HasSuffix(host, "-secretsmanager.cyberark.cloud") {
		return c.at.server() + "/api"
	}
	return c.at.server()
}

// variable is the address of a variable. Its id is one segment.
func (c *conjur) variable(id string) string {
	return c.base() + "/secrets/" + url.PathEscape(c.account) + "/variable/" + url.PathEscape(id)
}

// nowhere is for a 404. Conjur gives it also to whom it lets see nothing.
func (c *conjur) nowhere(op, id string) error {
	return c.refusal(op, ErrNotFound, "there is no variable "+id+" or "+id+"/"+c.secretVariable()+" with a value, or "+c.who()+" may not see it",
		"check account, policy and name; variables are made, and their rights given, by policy")
}

// refused is what another status means for a variable.
func (c *conjur) refused(op string, status int, privilege, id string) error {
	switch status {
	case http.StatusForbidden:
		return c.refusal(op, ErrDenied, c.who()+" has no right to "+privilege+" the variable "+id, "have it permitted by policy: privileges: [ read, "+privilege+" ]")
	case http.StatusUnauthorized:
		return c.refusal(op, ErrLogin, "Conjur does not take the token that it has just issued (401)", "see that all its nodes share their keys and have the right time")
	}
	return c.refusal(op, ErrUnavailable, fmt.Sprintf("%s answers %d", c.at.host, status), "try again; if it stays, have Conjur's operators look at its log")
}
