package orchestratortest

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// ask sends a request and returns status, header and body; the body may be cut.
func ask(t *testing.T, r *http.Request) (*http.Response, []byte, error) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer, body, err
}

func post(t *testing.T, s *Server, form url.Values) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.Identity+"/connect/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func credentialsOf(c Client, scope string) url.Values {
	v := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ID}, "client_secret": {c.Secret}}
	if scope != "" {
		v.Set("scope", scope)
	}
	return v
}

func object(t *testing.T, body []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("not an object: %v", err)
	}
	return v
}

func token(t *testing.T, s *Server, c Client, scope string) string {
	t.Helper()
	answer, body, err := ask(t, post(t, s, credentialsOf(c, scope)))
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("token: %v %s", err, answer.Status)
	}
	return object(t, body)["access_token"].(string)
}

func call(t *testing.T, s *Server, method, path, bearer string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.Orchestrator+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	answer, body, err := ask(t, r)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, body
}

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s := New(o)
	t.Cleanup(s.Close)
	return s
}

func TestWhoGetsWhatToken(t *testing.T) {
	s := start(t, Options{})
	robot, app := s.AddMachine("", ""), s.AddApp("", "", "OR.Machines", "OR.Folders.Read")
	for name, c := range map[string]struct {
		form url.Values
		want string // error, or "" for a token
	}{
		"machine":                    {credentialsOf(robot, "OrchestratorApiUserAccess"), ""},
		"machine without scope":      {credentialsOf(robot, ""), ""},
		"machine with an app's":      {credentialsOf(robot, "OR.Folders"), "invalid_scope"},
		"app":                        {credentialsOf(app, "OR.Machines.Read OR.Folders.Read"), ""},
		"app asking more than given": {credentialsOf(app, "OR.Folders"), "invalid_scope"},
		"app with a machine's":       {credentialsOf(app, "OrchestratorApiUserAccess"), "invalid_scope"},
		"wrong secret":               {credentialsOf(Client{ID: robot.ID, Secret: app.Secret}, ""), "invalid_client"},
		"unknown client":             {credentialsOf(Client{ID: "nobody", Secret: robot.Secret}, ""), "invalid_client"},
		"another grant": {url.Values{"grant_type": {"password"}, "client_id": {robot.ID}, "client_secret": {robot.Secret}},
			"unsupported_grant_type"},
	} {
		t.Run(name, func(t *testing.T) {
			_, body, err := ask(t, post(t, s, c.form))
			if err != nil {
				t.Fatal(err)
			}
			got, _ := object(t, body)["error"].(string)
			if got != c.want {
				t.Errorf("error %q, want %q", got, c.want)
			}
		})
	}
	if n := s.TokenRequestsOf("nobody"); n != 0 {
		t.Errorf("%d requests counted for a client that does not exist", n)
	}
	if s.TokenRequests() != 9 || s.TokenRequestsOf(robot.ID) != 5 {
		t.Errorf("counted %d, of the robot %d", s.TokenRequests(), s.TokenRequestsOf(robot.ID))
	}
}

func TestBasicIsAcceptedToo(t *testing.T) {
	s := start(t, Options{})
	robot := s.AddMachine("", `a+b %:"ü`)
	r := post(t, s, url.Values{"grant_type": {"client_credentials"}})
	r.SetBasicAuth(url.QueryEscape(robot.ID), url.QueryEscape(robot.Secret))
	if answer, _, err := ask(t, r); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(err, answer.Status)
	}
}

func TestBearerIsVerified(t *testing.T) {
	s, other := start(t, Options{}), start(t, Options{})
	robot := s.AddMachine("", "")
	good := token(t, s, robot, "")
	stranger := token(t, other, other.AddMachine("", ""), "")
	dot := strings.LastIndexByte(good, '.')
	flipped := good[:dot] + stranger[strings.LastIndexByte(stranger, '.'):] // the right shape, another key's

	for name, c := range map[string]struct {
		path, bearer string
		want         int
	}{
		"folders":                {"/odata/Folders?$top=1", good, 200},
		"no token":               {"/odata/Folders?$top=1", "", 401},
		"another server's token": {"/odata/Folders?$top=1", stranger, 401},
		"changed signature":      {"/odata/Folders?$top=1", flipped, 401},
		"not a token":            {"/odata/Folders?$top=1", "a.b.c", 401},
		"a right it lacks":       {"/odata/Users/UiPath.Server.Configuration.OData.GetCurrentUser", good, 403},
		"anonymous status":       {"/api/Status/Get", "", 200},
		"secrets of machines":    {"/api/clientsecrets/" + robot.ID, good, 403},
		"nothing there":          {"/odata/Nothing", good, 404},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := call(t, s, "GET", c.path, c.bearer)
			if status != c.want {
				t.Errorf("status %d, want %d", status, c.want)
			}
			if _, ok := object(t, body)["errorCode"]; status >= 400 && !ok {
				t.Errorf("not Orchestrator's error shape: %s", body)
			}
		})
	}
	s.SetLifetime(-time.Minute)
	if status, _ := call(t, s, "GET", "/odata/Folders", token(t, s, robot, "")); status != 401 {
		t.Errorf("an expired token got %d", status)
	}
}

func TestSecretRotation(t *testing.T) {
	s := start(t, Options{})
	robot, app := s.AddMachine("", ""), s.AddApp("", "", "OR.Machines")
	admin := token(t, s, app, "OR.Machines")

	status, body := call(t, s, "POST", "/api/clientsecrets/"+robot.ID, admin)
	made := object(t, body)
	if status != http.StatusCreated || made["secret"] == nil {
		t.Fatalf("make a secret: %d", status)
	}
	_, body = call(t, s, "GET", "/api/clientsecrets/"+robot.ID, admin)
	var list []map[string]any
	if err := json.Unmarshal(body, &list); err != nil || len(list) != 2 || list[1]["secret"] != nil {
		t.Fatalf("the list is %s", body)
	}
	token(t, s, Client{ID: robot.ID, Secret: made["secret"].(string)}, "")
	token(t, s, robot, "")

	old, _ := json.Marshal(list[0]["id"])
	if status, _ = call(t, s, "DELETE", "/api/clientsecrets/"+string(old), admin); status != http.StatusNoContent {
		t.Fatalf("delete: %d", status)
	}
	if answer, _, _ := ask(t, post(t, s, credentialsOf(robot, ""))); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("a deleted secret got %s", answer.Status)
	}
}

func TestFaults(t *testing.T) {
	s := start(t, Options{})
	form := credentialsOf(s.AddMachine("", ""), "")
	for name, c := range map[string]struct {
		fault Fault
		want  func(a *http.Response, body []byte, err error) bool
	}{
		"429": {Fault{Status: 429, RetryAfter: "3"}, func(a *http.Response, _ []byte, _ error) bool {
			return a.StatusCode == 429 && a.Header.Get("Retry-After") == "3"
		}},
		"html": {Fault{HTML: true}, func(a *http.Response, body []byte, _ error) bool {
			return strings.HasPrefix(string(body), "<!DOCTYPE") && strings.HasPrefix(a.Header.Get("Content-Type"), "text/html")
		}},
		"redirect": {Fault{Redirect: "http://127.0.0.1:1/"}, func(a *http.Response, _ []byte, _ error) bool { return a.StatusCode == 307 }},
		"cut":      {Fault{Cut: true}, func(_ *http.Response, _ []byte, err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		"no expires_in": {Fault{Edit: Drop("expires_in")}, func(_ *http.Response, body []byte, _ error) bool {
			return !strings.Contains(string(body), "expires_in") && strings.Contains(string(body), "access_token")
		}},
		"quoted expires_in": {Fault{Edit: Set("expires_in", "60")}, func(_ *http.Response, body []byte, _ error) bool {
			return strings.Contains(string(body), `"expires_in":"60"`)
		}},
		"long":  {Fault{Size: 3 << 20}, func(_ *http.Response, body []byte, _ error) bool { return len(body) == 3<<20 }},
		"delay": {Fault{Delay: time.Millisecond, Slow: time.Microsecond}, func(a *http.Response, _ []byte, err error) bool { return a.StatusCode == 200 && err == nil }},
		"clock": {Fault{Date: -2 * time.Hour}, func(a *http.Response, _ []byte, _ error) bool {
			at, err := http.ParseTime(a.Header.Get("Date"))
			return err == nil && time.Since(at) > time.Hour
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c.fault.Times = 1
			s.Fault("/connect/token", c.fault)
			if a, body, err := ask(t, post(t, s, form)); !c.want(a, body, err) {
				t.Errorf("%s %v %.80s", a.Status, err, body)
			}
			if a, _, err := ask(t, post(t, s, form)); err != nil || a.StatusCode != 200 {
				t.Errorf("it outlived its one time: %v %s", err, a.Status)
			}
		})
	}
}

func TestSkewMovesTheWholeClock(t *testing.T) {
	s := start(t, Options{})
	robot := s.AddMachine("", "")
	before := token(t, s, robot, "")
	s.SetSkew(2 * time.Hour)
	if status, _ := call(t, s, "GET", "/odata/Folders", before); status != 401 {
		t.Errorf("a token from before: %d", status)
	}
	if status, _ := call(t, s, "GET", "/odata/Folders", token(t, s, robot, "")); status != 200 {
		t.Errorf("a token from now: %d", status)
	}
}

func TestTLSOfItsOwnAuthority(t *testing.T) {
	s := start(t, Options{TLS: true})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.CA}}}
	answer, err := client.Get(s.Identity + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	client.CloseIdleConnections()
	if _, err := http.Get(s.Origin); err == nil {
		t.Error("a client that does not know the authority was served")
	}
}

func TestCloseEndsADelay(t *testing.T) {
	s := New(Options{})
	s.Fault("", Fault{Delay: time.Hour})
	done := make(chan error)
	go func() {
		_, err := http.Get(s.Origin)
		done <- err
	}()
	for s.Requests("") == 0 {
		time.Sleep(time.Millisecond)
	}
	s.Close()
	if err := <-done; err == nil {
		t.Error("the delayed request was answered")
	}
}
