package vaulttest

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"keytender/installer/testbed"
)

// Conjur is a FAKE of CyberArk Conjur: its server is a container image, which
// does not run here. It follows the routes, the order of decisions and the
// status codes of the server's public source for the four requests that a store
// makes. It has one account with one host.
//
//	authenticate ─► token ─► visible? ─► permitted? ─► value
type Conjur struct {
	fake

	mu        sync.Mutex
	key       string
	jwts      map[string]string // by service and host id: the one that is taken
	tokens    []string          // those that are taken, as the header has them
	logins    int
	variables map[string]*conjurVariable
	failures  []conjurFailure
}

// What the fake knows.
const (
	ConjurAccount = "corp"
	ConjurLogin   = "host/robots"
	ConjurPolicy  = "apps/keytender"
)

type conjurVariable struct {
	values     []string
	privileges []string // of the host; none: it does not see the variable
}

type conjurFailure struct {
	part   string // of the request's address
	status int
	body   string
}

// FakeConjur starts a fake Conjur. It ends with the test.
func FakeConjur(t testbed.Test) *Conjur {
	t.Helper()
	c := &Conjur{jwts: map[string]string{}, variables: map[string]*conjurVariable{}}
	c.NewKey()
	c.start(t, c.serve, func(r *http.Request) string {
		_, id, found := strings.Cut(r.URL.Path, "/secrets/"+ConjurAccount+"/variable/")
		if !found || r.Method != http.MethodGet {
			return ""
		}
		return strings.TrimPrefix(id, ConjurPolicy+"/")
	})
	return c
}

// NewKey replaces the host's API key and returns the new one.
func (c *Conjur) NewKey() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.key = "apikey" + strings.ToLower(rand.Text())
	return c.key
}

// Key is the host's API key.
func (c *Conjur) Key() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.key
}

// Trust has the JWT authenticator of that service take that token, for the host
// id of the request or, where id is "", for the one that the token names.
func (c *Conjur) Trust(service, id, jwt string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jwts[service+" "+id] = jwt
}

// EndTokens ends every token there is, as their 8 minutes would.
func (c *Conjur) EndTokens() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens = nil
}

// Logins is how many were successful.
func (c *Conjur) Logins() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.logins
}

// Declare makes a variable without a value, as a policy does. The host may read,
// execute and update it.
func (c *Conjur) Declare(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.declare(id)
}

func (c *Conjur) declare(id string) *conjurVariable {
	if c.variables[id] == nil {
		c.variables[id] = &conjurVariable{privileges: []string{"read", "execute", "update"}}
	}
	return c.variables[id]
}

// Permit replaces the host's privileges on a variable; without any the host does
// not see it.
func (c *Conjur) Permit(id string, privileges ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.declare(id).privileges = privileges
}

// Set gives a variable a value, and makes it if need be.
func (c *Conjur) Set(id, value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.declare(id)
	v.values = append(v.values, value)
}

// Value is a variable's last value, or "".
func (c *Conjur) Value(id string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.variables[id]; v != nil && len(v.values) > 0 {
		return v.values[len(v.values)-1]
	}
	return ""
}

// Fail has the next request whose address contains part answered with that
// status and body.
func (c *Conjur) Fail(part string, status int, body string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = append(c.failures, conjurFailure{part, status, body})
}

func (c *Conjur) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, f := range c.failures {
		if strings.Contains(r.RequestURI, f.part) {
			c.failures = slices.Delete(c.failures, i, i+1)
			answerJSON(w, f.status, f.body)
			return
		}
	}
	path := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	for i, segment := range path {
		if path[i], err = url.PathUnescape(segment); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	switch {
	case r.Method == "POST" && path[len(path)-1] == "authenticate":
		c.authenticate(w, path[:len(path)-1], string(body))
	case len(path) >= 4 && path[0] == "secrets" && path[1] == ConjurAccount && path[2] == "variable":
		c.secret(w, r, strings.Join(path[3:], "/"), string(body))
	default:
		c.fail(w, http.StatusNotFound)
	}
}

// authenticate follows AuthenticateController: whatever does not fit is a 401.
func (c *Conjur) authenticate(w http.ResponseWriter, path []string, body string) {
	login := ConjurLogin
	switch {
	case len(path) == 3 && path[0] == "authn":
		if path[1] != ConjurAccount || path[2] != ConjurLogin || body != c.key {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
	case (len(path) == 3 || len(path) == 4) && path[0] == "authn-jwt":
		id := ""
		if len(path) == 4 {
			id, login = path[3], path[3]
		}
		form, err := url.ParseQuery(body)
		if err != nil || form.Get("jwt") == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if want, known := c.jwts[path[1]+" "+id]; !known || path[2] != ConjurAccount || form.Get("jwt") != want {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
	default:
		c.fail(w, http.StatusNotFound)
		return
	}
	encode := base64.StdEncoding.EncodeToString
	token := fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`,
		encode([]byte(`{"alg":"conjur.org/slosilo/v2","kid":"fake"}`)),
		encode(fmt.Appendf(nil, `{"sub":%q,"iat":%d}`, login, time.Now().Unix())),
		encode([]byte(rand.Text())))
	c.tokens = append(c.tokens, `Token token="`+encode([]byte(token))+`"`)
	c.logins++
	answerJSON(w, http.StatusOK, token)
}

// secret follows SecretsController: what a role may not see is not found.
func (c *Conjur) secret(w http.ResponseWriter, r *http.Request, id, body string) {
	if !slices.Contains(c.tokens, r.Header.Get("Authorization")) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	privilege := map[string]string{"GET": "execute", "POST": "update"}[r.Method]
	v := c.variables[id]
	switch {
	case privilege == "" || v == nil || len(v.privileges) == 0:
		c.fail(w, http.StatusNotFound)
	case !slices.Contains(v.privileges, privilege):
		w.WriteHeader(http.StatusForbidden)
	case r.Method == "GET" && len(v.values) == 0:
		c.fail(w, http.StatusNotFound)
	case r.Method == "GET":
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = io.WriteString(w, v.values[len(v.values)-1])
	case strings.HasPrefix(id, "data/dynamic/"):
		c.fail(w, http.StatusMethodNotAllowed)
	case strings.TrimSpace(body) == "":
		c.fail(w, http.StatusUnprocessableEntity)
	default:
		v.values = append(v.values, body)
		w.WriteHeader(http.StatusCreated)
	}
}

func (c *Conjur) fail(w http.ResponseWriter, status int) {
	answerJSON(w, status, fmt.Sprintf(`{"error":{"code":"some_code","message":%q}}`, ServersText))
}
