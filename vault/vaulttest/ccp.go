package vaulttest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"keytender/installer/testbed"
)

// CCP is a FAKE of CyberArk's Central Credential Provider: nobody's server can
// be had. It follows the vendor's page "Call the Web Service using REST" in its
// parameters, its answers and its codes; what that page leaves open is taken
// from what others wrote about the answers they had. It has one application and
// one safe.
//
//	TLS ─► certificate or machine of the application? ─► safe, folder, object ─► properties
type CCP struct {
	fake

	mu       sync.Mutex
	accounts []CCPAccount
	serials  []string // of the certificates that the application may show
	machine  bool     // the application is known by its machine alone
	failures []failure
}

// What the fake knows.
const (
	CCPApp  = "Keytender"
	CCPSafe = "Robot Accounts"
)

// CCPAccount is an account in the safe. Only properties that are set are
// answered; a real object's Name is always set.
type CCPAccount struct {
	Folder   string // "" is Root
	Object   string
	UserName string
	Name     string
	Content  any
	Changing int // how many answers say yet that the password is being changed
	Locked   int // how many answers refuse yet because it is
}

type failure struct {
	status int
	body   string
}

// FakeCCP starts a fake Central Credential Provider. It ends with the test.
func FakeCCP(t testbed.Test) *CCP {
	t.Helper()
	c := &CCP{}
	c.start(t, c.serve, func(r *http.Request) string { return r.URL.Query().Get("Object") })
	return c
}

// Certificate makes a client certificate that the application may show.
func (c *CCP) Certificate(t testbed.Test, o Of) Client {
	t.Helper()
	client := c.issuer.client(t, o)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serials = append(c.serials, client.Serial)
	return client
}

// Stranger makes a client certificate of the same authority that the
// application may not show.
func (c *CCP) Stranger(t testbed.Test) Client { return c.issuer.client(t, Of{}) }

// AllowMachine has the application be known by its machine's address, without a
// certificate.
func (c *CCP) AllowMachine() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.machine = true
}

// Set puts an account in the place of those of the same folder and name.
func (c *CCP) Set(a CCPAccount) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var others []CCPAccount
	for _, other := range c.accounts {
		if other.Folder != a.Folder || other.Object != a.Object {
			others = append(others, other)
		}
	}
	c.accounts = append(others, a)
}

// Add puts an account beside those of the same folder and name.
func (c *CCP) Add(a CCPAccount) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.accounts = append(c.accounts, a)
}

// Fail has the next request answered with that status and CCP's error of that
// code; without a code, with a page such as the web server's own.
func (c *CCP) Fail(status int, code string) {
	c.FailWith(status, `{"ErrorCode":"`+code+`","ErrorMsg":"`+ServersText+`"}`)
	if code == "" {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.failures[len(c.failures)-1].body = "<html><body>" + ServersText + "</body></html>"
	}
}

// FailWith has the next request answered with that status and body.
func (c *CCP) FailWith(status int, body string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = append(c.failures, failure{status, body})
}

func (c *CCP) serve(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.failures) > 0 {
		next := c.failures[0]
		c.failures = c.failures[1:]
		answerJSON(w, next.status, next.body)
		return
	}
	if r.URL.Path != "/AIMWebService/api/Accounts" && r.URL.Path != "/Other Service/api/Accounts" || r.Method != "GET" {
		http.Error(w, ServersText, http.StatusNotFound)
		return
	}
	status, code, found := c.find(r)
	if code == "" {
		_ = json.NewEncoder(w).Encode(found)
		return
	}
	answerJSON(w, status, fmt.Sprintf(`{"ErrorCode":%q,"ErrorMsg":%q}`, code, ServersText))
}

// find is the order in which a real one decides: the application, then who may
// speak for it, then what it asks for.
func (c *CCP) find(r *http.Request) (status int, code string, properties map[string]any) {
	q := r.URL.Query()
	switch {
	case q.Get("AppID") == "":
		return http.StatusBadRequest, "AIMWS031E", nil
	case q.Get("AppID") != CCPApp:
		return http.StatusForbidden, "APPAP008E", nil
	case !c.authenticated(r):
		return http.StatusForbidden, "APPAP306E", nil
	case len(q) < 2:
		return http.StatusBadRequest, "AIMWS030E", nil
	case q.Get("Safe") != CCPSafe:
		return http.StatusNotFound, "APPAP004E", nil
	}
	folder := q.Get("Folder")
	if folder == "Root" {
		folder = ""
	}
	var found *CCPAccount
	for i := range c.accounts {
		a := &c.accounts[i]
		switch {
		case a.Object != q.Get("Object") || a.Folder != folder:
		case found != nil:
			return http.StatusBadRequest, "APPAP229E", nil
		default:
			found = a
		}
	}
	if found == nil {
		return http.StatusNotFound, "APPAP004E", nil
	}
	return found.answer()
}

func (c *CCP) authenticated(r *http.Request) bool {
	if c.machine {
		return true
	}
	for _, certificate := range r.TLS.PeerCertificates {
		for _, serial := range c.serials {
			if certificate.SerialNumber.String() == serial {
				return true
			}
		}
	}
	return false
}

func (a *CCPAccount) answer() (status int, code string, properties map[string]any) {
	if a.Locked > 0 {
		a.Locked--
		return http.StatusInternalServerError, "APPAP282E", nil
	}
	changing := "False"
	if a.Changing > 0 {
		a.Changing--
		changing = "True"
	}
	properties = map[string]any{
		"Content": a.Content, "Safe": CCPSafe, "Folder": "Root", "PolicyID": "WinDomain", "CreationMethod": "PVWA",
		"PasswordChangeInProcess": changing,
	}
	for property, value := range map[string]string{"Folder": a.Folder, "UserName": a.UserName, "Name": a.Name} {
		if value != "" {
			properties[property] = value
		}
	}
	return http.StatusOK, "", properties
}
