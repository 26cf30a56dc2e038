package vault

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"keytender/vault/egress"
)

// ccp is a safe behind a CyberArk Central Credential Provider (CCP), asked
// through its web service, for which the vendor has no Go client:
//
//	name ─► GET https://HOST/SERVICE/api/Accounts?AppID&Safe&Folder&Object ─► Content, UserName
//
// It keeps nothing between two questions, so a certificate, key or authority
// that is replaced takes effect with the next one. CCP only hands out: nothing
// can be written through it.
//
// CyberArk: "Call the Web Service using REST".
type ccp struct {
	link
	fields  Fields
	login   Login
	service string
	appID   string
	safe    string
	folder  string        // "": CCP looks in Root
	pause   time.Duration // before a password that is being changed is asked for again
	now     func() time.Time
}

const (
	ccpService = "AIMWebService"
	ccpPause   = 1500 * time.Millisecond
	ccpPauses  = 4 // as many as Orchestrator makes

	// ccpNobody is asked for by Check. It need not exist, and may.
	ccpNobody = "keytender-check"
)

func openCCP(c Config, o Options) (asked, error) {
	o = o.filled()
	l, err := newLink(c, o)
	if err != nil {
		return nil, err
	}
	if c.Write {
		return nil, wrong("write", "a Central Credential Provider only hands secrets out: leave it out, and change them in CyberArk")
	}
	known := []string{"ca", "timeout", "refresh", "fields", "login.method"}
	switch c.Login.Method {
	case "certificate":
		known = append(known, "login.certificate")
	case "host":
	default:
		return nil, wrong("login.method", "%q: it is certificate, or host where the application is known by its machine's address", c.Login.Method)
	}
	if err := cmp.Or(c.only(known...), c.Fields.check()); err != nil {
		return nil, err
	}
	s := &ccp{link: l, fields: c.Fields, login: c.Login, service: ccpService, pause: ccpPause, now: o.Now}
	return s, s.locate()
}

// locate reads the address: cyberark-ccp://HOST/[SERVICE/]APPID?safe=SAFE[&folder=FOLDER].
func (c *ccp) locate() error {
	switch path := c.at.path; len(path) {
	case 1:
		c.appID = path[0]
	case 2:
		c.service, c.appID = path[0], path[1]
	default:
		return wrong("url", "write cyberark-ccp://HOST/APPID?safe=SAFE, or cyberark-ccp://HOST/SERVICE/APPID?safe=SAFE")
	}
	c.safe, c.folder = c.at.query.Get("safe"), c.at.query.Get("folder")
	for key, values := range c.at.query {
		if len(values) != 1 || values[0] == "" {
			return wrong("url", "%s= must stand in it once, with a name", key)
		}
	}
	if c.safe == "" {
		return wrong("url", "the safe is missing: end it with ?safe=SAFE")
	}
	for _, text := range []string{c.service, c.appID, c.safe, c.folder} {
		if err := checkCCPText(text); err != nil {
			return wrong("url", "%w", err)
		}
	}
	return nil
}

// checkCCPName refuses what no object can be called, or CCP cannot look up. The
// folder of an object is part of the store's address.
func checkCCPName(name string) error {
	if err := checkSharedName(name); err != nil {
		return err
	}
	if strings.Contains(name, "/") {
		return fmt.Errorf("entry name %q: CyberArk's objects have no \"/\" in their names; a folder stands in the store's address: &folder=FOLDER", name)
	}
	return checkCCPText(name)
}

// checkCCPText refuses the characters that the vendor's page excludes from the
// values of a request. A ";" would begin another condition of the search.
func checkCCPText(s string) error {
	if i := strings.IndexAny(s, "+&%;"); i >= 0 {
		return fmt.Errorf("%q: a Central Credential Provider cannot look up a name with %q in it", s, s[i:i+1])
	}
	return nil
}

func (c *ccp) Get(ctx context.Context, name string) (Entry, error) {
	op := "read " + name
	for pauses := 0; ; pauses++ {
		a, err := c.ask(ctx, op, strings.ReplaceAll(name, `\`, "-")) // as Orchestrator asks
		switch {
		case err != nil:
			return Entry{}, err
		case !a.changing():
			return c.entry(op, name, a)
		case pauses == ccpPauses || !c.rest(ctx):
			if errors.Is(ctx.Err(), context.Canceled) {
				return Entry{}, c.unanswered(ctx, op, ctx.Err())
			}
			return Entry{}, c.refusal(op, ErrBusy, "its password is being changed in CyberArk", "try again in a minute; if it stays so, look at the account in CyberArk")
		}
	}
}

// rest waits until it is time to ask again; false means that ctx ended.
func (c *ccp) rest(ctx context.Context) bool {
	timer := time.NewTimer(c.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *ccp) entry(op, name string, a ccpAnswer) (Entry, error) {
	if a.status != http.StatusOK {
		return Entry{}, c.refused(op, a)
	}
	text, ok := a.Content.(string)
	if !ok && a.Content != nil || strings.ContainsRune(text, utf8.RuneError) { // what is no text is lost in JSON
		return Entry{}, c.refusal(op, ErrBroken, "its content is not text", "")
	}
	e, err := c.pickJSON(name, text, c.fields)
	if err != nil {
		return Entry{}, err
	}
	e.Username = cmp.Or(e.Username, a.UserName, a.Name)
	return e, nil
}

// Check asks for an object that nobody needs. CCP looks at the application first,
// so the answer that there is no such object proves the connection, and that the
// application may ask from here; it says nothing of the safe.
func (c *ccp) Check(ctx context.Context) error {
	a, err := c.ask(ctx, "check", ccpNobody)
	if err != nil || a.status == http.StatusOK || a.changing() {
		return err
	}
	if err := c.refused("check", a); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

func (c *ccp) Put(_ context.Context, name string, _ Entry) error { return c.handsOut("store " + name) }

func (c *ccp) Delete(_ context.Context, name string) error { return c.handsOut("delete " + name) }

func (c *ccp) handsOut(op string) error {
	return c.refusal(op, ErrReadOnly, "a Central Credential Provider only hands secrets out", "change it in CyberArk, in the safe "+c.safe)
}

func (c *ccp) Close() error { return nil }

// ccpAnswer is what CCP answers: properties of an account, or a code.
type ccpAnswer struct {
	status int

	Content                 any
	UserName, Name          string
	PasswordChangeInProcess any // "True", or true
	ErrorCode               string
}

// changing reports whether the password is about to be another one.
func (a ccpAnswer) changing() bool {
	if a.status != http.StatusOK {
		return a.ErrorCode == "APPAP282E"
	}
	return strings.EqualFold(fmt.Sprint(a.PasswordChangeInProcess), "true")
}

// ask sends one question. An error is one of the way there and back.
func (c *ccp) ask(ctx context.Context, op, object string) (ccpAnswer, error) {
	client, err := c.connect(ctx)
	if err != nil {
		return ccpAnswer{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.question(object), nil)
	if err != nil {
		return ccpAnswer{}, c.unanswered(ctx, op, err)
	}
	answer, err := client.Do(r)
	if _, refused := errors.AsType[*egress.ClientCertificateError](err); refused {
		why, _ := egress.Explain(err)
		return ccpAnswer{}, c.refusal("log in", ErrLogin, why, c.toLogIn())
	}
	if err != nil {
		return ccpAnswer{}, c.unanswered(ctx, op, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return ccpAnswer{}, c.unanswered(ctx, op, err)
	}
	var a ccpAnswer
	// What is no JSON has no code, and with status 200 no content either.
	if err := json.Unmarshal(text, &a); err != nil && answer.StatusCode == http.StatusOK {
		return ccpAnswer{}, c.refusal(op, ErrUnavailable, c.at.host+" answers, but not as a Central Credential Provider does", "check host, port and web service of the store's address")
	}
	a.status = answer.StatusCode
	return a, nil
}

// question is the address of one question. The service decodes no "+".
func (c *ccp) question(object string) string {
	values := [][2]string{{"AppID", c.appID}, {"Safe", c.safe}, {"Folder", c.folder}, {"Object", object}}
	var query []string
	for _, v := range values {
		if v[1] != "" {
			query = append(query, v[0]+"="+strings.ReplaceAll(url.QueryEscape(v[1]), "+", "%20"))
		}
	}
	return c.at.server() + "/" + url.PathEscape(c.service) + "/api/Accounts?" + strings.Join(query, "&")
}
