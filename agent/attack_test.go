package agent

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/providertest"
)

// answered is what a door answered.
type answered struct {
	status int
	header http.Header
	body   string
	code   api.Code
}

// say sends text as it is over a new connection and reads the answer.
func say(t *testing.T, network, address, text string) answered {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(text, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no answer to %q: %v", text, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var e api.Error
	_ = json.Unmarshal(body, &e) // where it is no error it has no code
	return answered{response.StatusCode, response.Header, string(body), e.Code}
}

// onTCP is a running agent with a paired robot and a token in its cache.
func onTCP(t *testing.T) (r *running, s *providertest.Server, token api.Token) {
	t.Helper()
	s = providertest.Fosite(t)
	r = start(t, "")
	r.mustPair(t, robotOf(s))
	return r, s, r.mustToken(t, api.TokenRequest{})
}

func TestLocalProgramIsServedOnTCP(t *testing.T) {
	r, _, token := onTCP(t)
	_, port, _ := net.SplitHostPort(r.TCP())
	for _, host := range []string{r.TCP(), "localhost:" + port} {
		got := say(t, "tcp", r.TCP(), "GET /v1/token?profile=invoices HTTP/1.1\r\nHost: "+host+"\r\nKeytender: 1\r\nSec-Fetch-Site: none\r\n\r\n")
		if got.status != http.StatusOK || !strings.Contains(got.body, token.AccessToken) || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", host, got.status, got.code)
		}
	}
}

func TestForeignRequestGetsNothingOnTCP(t *testing.T) {
	r, s, token := onTCP(t)
	_, port, _ := net.SplitHostPort(r.TCP())
	own := "Host: " + r.TCP() + "\r\n"
	cases := map[string]struct {
		headers string
		status  int
		code    api.Code
	}{
		"name of an attacker (DNS rebinding)": {"Host: attacker.example\r\nKeytender: 1\r\n", 403, api.BadHost},
		"attacker's name with our port":       {"Host: attacker.example:" + port + "\r\nKeytender: 1\r\n", 403, api.BadHost},
		"name that begins as ours":            {"Host: localhost.attacker.example:" + port + "\r\nKeytender: 1\r\n", 403, api.BadHost},
		"our name with a final dot":           {"Host: localhost.:" + port + "\r\nKeytender: 1\r\n", 403, api.BadHost},
		"our address without the port":        {"Host: 127.0.0.1\r\nKeytender: 1\r\n", 403, api.BadHost},
		"our address with another port":       {"Host: 127.0.0.1:1\r\nKeytender: 1\r\n", 403, api.BadHost},
		"our address in another spelling":     {"Host: 127.1:" + port + "\r\nKeytender: 1\r\n", 403, api.BadHost},
		"an empty host":                       {"Host:\r\nKeytender: 1\r\n", 403, api.BadHost},
		"a page of another origin":            {own + "Origin: https://attacker.example\r\nKeytender: 1\r\n", 403, api.BadOrigin},
		"a page of our own origin":            {own + "Origin: http://" + r.TCP() + "\r\nKeytender: 1\r\n", 403, api.BadOrigin},
		"a page without an origin":            {own + "Origin: null\r\nKeytender: 1\r\n", 403, api.BadOrigin},
		"a link":                              {own + "Referer: https://attacker.example/\r\nKeytender: 1\r\n", 403, api.BadOrigin},
		"a fetch across sites":                {own + "Sec-Fetch-Site: cross-site\r\nKeytender: 1\r\n", 403, api.BadOrigin},
		"a fetch within a site":               {own + "Sec-Fetch-Site: same-site\r\nKeytender: 1\r\n", 403, api.BadOrigin},
		"a fetch of our own origin":           {own + "Sec-Fetch-Site: same-origin\r\nKeytender: 1\r\n", 403, api.BadOrigin},
		"a fetch that says two things":        {own + "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\nKeytender: 1\r\n", 403, api.BadOrigin},
		"forwarded":                           {own + "Forwarded: for=192.0.2.1\r\nKeytender: 1\r\n", 403, api.BadOrigin},
		"forwarded for":                       {own + "X-Forwarded-For: 127.0.0.1\r\nKeytender: 1\r\n", 403, api.BadOrigin},
		"forwarded host":                      {own + "x-forwarded-host: localhost\r\nKeytender: 1\r\n", 403, api.BadOrigin},
		"through a proxy":                     {own + "Via: 1.1 squid\r\nKeytender: 1\r\n", 403, api.BadOrigin},
		"an image on a page":                  {own, 403, api.MissingHeader},
		"the header with another value":       {own + "Keytender: true\r\n", 403, api.MissingHeader},
		"the header twice":                    {own + "Keytender: 1\r\nKeytender: 1\r\n", 403, api.MissingHeader},
	}
	asked, served := s.TokenRequests(), len(r.records(t, "token"))
	for name, c := range cases {
		for _, path := range []string{"/v1/token", "/v1/token?profile=invoices", "/v1/profiles", "/v1/status", "/livez", "/v1/admin/reload", "/nothing"} {
			got := say(t, "tcp", r.TCP(), "GET "+path+" HTTP/1.1\r\n"+c.headers+"\r\n")
			if got.status != c.status || got.code != c.code {
				t.Errorf("%s: GET %s is answered %d %s, want %d %s", name, path, got.status, got.code, c.status, c.code)
			}
			if strings.Contains(got.body, token.AccessToken) || strings.Contains(got.body, "invoices") {
				t.Errorf("%s: GET %s tells something: %s", name, path, got.code)
			}
			hasNoCORS(t, name, got)
		}
	}
	if n := s.TokenRequests(); n != asked {
		t.Errorf("Identity was asked %d times", n-asked)
	}
	if n := len(r.records(t, "refused")) + len(r.records(t, "token")) - served; n != 0 {
		t.Errorf("what guards refuse left %d records, with which a disk could be filled", n)
	}
}

func hasNoCORS(t *testing.T, name string, got answered) {
	t.Helper()
	for header := range got.header {
		if strings.HasPrefix(header, "Access-Control-") {
			t.Errorf("%s: the answer has %s", name, header)
		}
	}
}

func TestMalformedRequestGetsNothingOnTCP(t *testing.T) {
	r, _, token := onTCP(t)
	own := "Host: " + r.TCP() + "\r\nKeytender: 1\r\n"
	for name, text := range map[string]string{
		"no host":               "GET /v1/token HTTP/1.1\r\nKeytender: 1\r\n\r\n",
		"no host, HTTP/1.0":     "GET /v1/token HTTP/1.0\r\nKeytender: 1\r\n\r\n",
		"two hosts":             "GET /v1/token HTTP/1.1\r\nHost: attacker.example\r\n" + own + "\r\n",
		"absolute, another":     "GET http://attacker.example/v1/token HTTP/1.1\r\n" + own + "\r\n",
		"absolute, ours":        "GET http://" + r.TCP() + "/v1/token HTTP/1.1\r\n" + own + "\r\n",
		"a tunnel":              "CONNECT " + r.TCP() + " HTTP/1.1\r\n" + own + "\r\n",
		"a posted form":         "POST /v1/token HTTP/1.1\r\n" + own + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b",
		"a head":                "HEAD /v1/token HTTP/1.1\r\n" + own + "\r\n",
		"a line feed in a name": "GET /v1/token?profile=invoices%0a HTTP/1.1\r\n" + own + "\r\n",
		"a zero in a name":      "GET /v1/token?profile=invoices%00 HTTP/1.1\r\n" + own + "\r\n",
		"a parameter twice":     "GET /v1/token?profile=invoices&profile=other HTTP/1.1\r\n" + own + "\r\n",
		"another path to it":    "GET /v1/../v1/token HTTP/1.1\r\n" + own + "\r\n",
		"an escaped path to it": "GET /v1/%74oken HTTP/1.1\r\n" + own + "\r\n",
	} {
		got := say(t, "tcp", r.TCP(), text)
		if got.status < 400 || strings.Contains(got.body, token.AccessToken) {
			t.Errorf("%s: answered %d", name, got.status)
		}
		hasNoCORS(t, name, got)
	}
}

func TestPreflightGetsNoConsent(t *testing.T) {
	r, _, _ := onTCP(t)
	preflight := "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: keytender\r\nAccess-Control-Request-Private-Network: true\r\n"
	for _, path := range []string{"*", "/v1/token", "/v1/admin/reload"} {
		for name, headers := range map[string]string{
			"as a browser sends it":  "Origin: https://attacker.example\r\n" + preflight,
			"with the header itself": "Keytender: 1\r\n" + preflight,
		} {
			got := say(t, "tcp", r.TCP(), "OPTIONS "+path+" HTTP/1.1\r\nHost: "+r.TCP()+"\r\n"+headers+"\r\n")
			if got.status < 400 {
				t.Errorf("%s: OPTIONS %s is answered %d", name, path, got.status)
			}
			hasNoCORS(t, name, got)
		}
	}
}

func TestAdministrationIsNotOnTCP(t *testing.T) {
	r, s, token := onTCP(t)
	before := s.TokenRequests()
	pairing := fmt.Sprintf(`{"version":1,"name":"more","kind":"app","identity":%q,"client_id":%q,"secret":%q,"scopes":["OR.Jobs"]}`, s.Issuer, s.ClientID, "QJX!jv12345A4q4N&=+%/ ~")
	for _, request := range []string{
		"POST /v1/admin/pairings", "DELETE /v1/admin/profiles/invoices", "PUT /v1/admin/secrets/invoices", "POST /v1/admin/reload",
		"POST /v1/admin/retry/invoices", "POST /v1/admin/lock", "GET /v1/admin/status", "GET /v1/admin/doctor", "GET /v1/admin/audit",
		"GET /v1/admin/explain", "GET /v1/admin/apps", "GET /metrics",
		"GET /v1/prompts", "POST /v1/prompts/p_7Q", "POST /v1/profiles/invoices/signin", "POST /v1/profiles/invoices/signout",
		"PUT /v1/profiles/invoices/secret", "DELETE /v1/profiles/invoices/secret", "POST /v1/lock", "POST /v1/unlock",
		"GET /v1/activity", "GET /v1/watch",
	} {
		body := pairing
		if strings.HasPrefix(request, "GET") {
			body = ""
		}
		got := say(t, "tcp", r.TCP(), fmt.Sprintf("%s HTTP/1.1\r\nHost: %s\r\nKeytender: 1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", request, r.TCP(), len(body), body))
		if got.status != http.StatusNotFound || got.code != api.NotFound {
			t.Errorf("%s is answered %d %s", request, got.status, got.code)
		}
	}
	if list, err := r.Profiles(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("profiles %v, %v", list, err)
	}
	if again := r.mustToken(t, api.TokenRequest{}); again.AccessToken != token.AccessToken {
		t.Error("the cached token is another one")
	}
	asked(t, s, before, 0)
}

func TestAdministrationIsNotOnTheWorkloadSocket(t *testing.T) {
	r, _, _ := onTCP(t)
	for _, request := range []string{"POST /v1/admin/reload", "DELETE /v1/admin/profiles/invoices", "GET /v1/admin/audit"} {
		got := say(t, "unix", r.Agent.Socket(), request+" HTTP/1.1\r\nHost: localhost\r\nKeytender: 1\r\n\r\n")
		if got.status != http.StatusNotFound {
			t.Errorf("%s is answered %d %s", request, got.status, got.code)
		}
	}
	r.mustToken(t, api.TokenRequest{Profile: "invoices"})
}
