package identity_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"keytender/agent/internal/identity"
	"keytender/agent/orchestratortest"
	"keytender/vault"
)

func respond(status int, kind, date, body string) *http.Response {
	h := http.Header{"Content-Type": {kind}}
	if date != "" {
		h.Set("Date", date)
	}
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}
}

func TestRobotGetsAToken(t *testing.T) {
	s := newServer(t, orchestratortest.Options{Lifetime: time.Hour})
	robot := s.AddMachine("", canary)
	before := time.Now()
	g, err := newClient(t, 0).ClientCredentials(t.Context(), requestOf(s, robot, "OrchestratorApiUserAccess"))
	if err != nil {
		t.Fatal(err)
	}
	if g.Access.IsZero() || g.Type != "Bearer" || g.Scope != "OrchestratorApiUserAccess" {
		t.Errorf("got %+v", g)
	}
	if life := g.ExpiresAt.Sub(g.IssuedAt); life != time.Hour || g.IssuedAt.Before(before.Round(0)) || strings.Contains(g.ExpiresAt.String(), "m=") {
		t.Errorf("it lives %v from %v", life, g.IssuedAt)
	}
	if s.TokenRequests() != 1 {
		t.Errorf("%d requests", s.TokenRequests())
	}
	if text := fmt.Sprintf("%+v %#v", g, g); strings.Contains(text, g.Access.Reveal()) {
		t.Error("the token prints")
	}
}

func TestRefusals(t *testing.T) {
	s := newServer(t, orchestratortest.Options{})
	robot, app := s.AddMachine("", canary), s.AddApp("", canary, "OR.Jobs")
	with := func(r identity.Request, change func(*identity.Request)) identity.Request { change(&r); return r }
	for name, c := range map[string]struct {
		request identity.Request
		code    string
		todo    string
	}{
		"wrong secret":     {with(requestOf(s, robot), func(r *identity.Request) { r.Secret = vault.NewSecret("canary-wrong") }), "invalid_client", "copy both again"},
		"unknown client":   {with(requestOf(s, robot), func(r *identity.Request) { r.ClientID = "nobody" }), "invalid_client", "copy both again"},
		"refused scope":    {requestOf(s, robot, "OR.Jobs"), "invalid_scope", "asked for: OR.Jobs; "},
		"app asks for all": {requestOf(s, app, "OR.Jobs", "OR.Folders"), "invalid_scope", "asked for: OR.Jobs OR.Folders"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newClient(t, 0).ClientCredentials(t.Context(), c.request)
			e := failure(t, err)
			if e.Kind != identity.Refused || e.Code != c.code || e.Status != 400 || !strings.Contains(e.Todo, c.todo) {
				t.Errorf("got %#v", e)
			}
		})
	}
}

func TestNothingIsSentToABadEndpoint(t *testing.T) {
	c := fake(func(*http.Request) (*http.Response, error) {
		t.Error("a request left")
		return nil, errors.New("no")
	})
	for _, endpoint := range []string{"", "http://idp.corp/token", "https://u:canary@idp.corp/token", "https://idp.corp/#canary", "https://idp.corp/token?canary", "https://id\u202ecanary.corp/token", "ftp://idp.corp"} {
		_, err := c.ClientCredentials(t.Context(), identity.Request{TokenEndpoint: endpoint, ClientID: "c", Secret: vault.NewSecret(canary)})
		if e := failure(t, err); e.Kind != identity.Refused {
			t.Errorf("%s: %#v", endpoint, e)
		}
	}
	_, err := c.ClientCredentials(t.Context(), identity.Request{TokenEndpoint: "https://idp.corp/token", ClientID: "c"})
	failure(t, err)
}

func TestFaultsOfTheTokenEndpoint(t *testing.T) {
	type fault = orchestratortest.Fault
	const echo = `{"error":"canary!%&+secret","error_description":"canary!%&+secret","error_uri":"canary!%&+secret"}`
	other := newServer(t, orchestratortest.Options{})
	for name, c := range map[string]struct {
		fault fault
		kind  identity.Kind
		code  string
		retry time.Duration
	}{
		"429":                      {fault{Status: 429, RetryAfter: "7", Body: echo}, identity.Unavailable, "", 7 * time.Second},
		"429 forever":              {fault{Status: 429, RetryAfter: "99999999999"}, identity.Unavailable, "", 24 * time.Hour},
		"429 nonsense":             {fault{Status: 429, RetryAfter: "canary"}, identity.Unavailable, "", 0},
		"429 negative":             {fault{Status: 429, RetryAfter: "-5"}, identity.Unavailable, "", 0},
		"503 with HTML":            {fault{Status: 503, HTML: true}, identity.Unavailable, "", 0},
		"500 echoing":              {fault{Status: 500, Body: echo}, identity.Unavailable, "", 0},
		"400 echoing":              {fault{Status: 400, Body: echo}, identity.Refused, "", 0},
		"400 empty":                {fault{Status: 400}, identity.Refused, "", 0},
		"401 with code":            {fault{Status: 401, Body: `{"error":"invalid_client"}`}, identity.Refused, "invalid_client", 0},
		"200 with code":            {fault{Body: `{"error":"invalid_scope"}`}, identity.Refused, "invalid_scope", 0},
		"unknown code":             {fault{Status: 400, Body: `{"error":"out_of_coffee"}`}, identity.Refused, "out_of_coffee", 0},
		"busy by code":             {fault{Status: 400, Body: `{"error":"temporarily_unavailable"}`}, identity.Unavailable, "temporarily_unavailable", 0},
		"long code":                {fault{Status: 400, Body: `{"error":"` + strings.Repeat("a", 65) + `"}`}, identity.Refused, "", 0},
		"404":                      {fault{Status: 404}, identity.Broken, "", 0},
		"HTML":                     {fault{HTML: true}, identity.Broken, "", 0},
		"400 with HTML":            {fault{Status: 400, HTML: true}, identity.Broken, "", 0},
		"redirect":                 {fault{Redirect: other.Identity + "/connect/token"}, identity.Broken, "", 0},
		"redirect 302":             {fault{Status: 302, Redirect: other.Identity + "/connect/token"}, identity.Broken, "", 0},
		"half":                     {fault{Cut: true}, identity.Broken, "", 0},
		"200 MB":                   {fault{Size: 200 << 20}, identity.Broken, "", 0},
		"a byte a while":           {fault{Slow: 50 * time.Millisecond}, identity.Unavailable, "", 0},
		"slow":                     {fault{Delay: time.Minute}, identity.Unavailable, "", 0},
		"no token":                 {fault{Body: `{"token_type":"Bearer","canary":"` + canaryCode + `"}`}, identity.Broken, "", 0},
		"not JSON":                 {fault{Body: canary}, identity.Broken, "", 0},
		"null":                     {fault{Body: `null`}, identity.Broken, "", 0},
		"token is a number":        {fault{Edit: orchestratortest.Set("access_token", 1234)}, identity.Broken, "", 0},
		"token with newline":       {fault{Edit: orchestratortest.Set("access_token", "a\r\nX: canary")}, identity.Broken, "", 0},
		"token with NUL":           {fault{Edit: orchestratortest.Set("access_token", "a\x00canary")}, identity.Broken, "", 0},
		"token with space":         {fault{Edit: orchestratortest.Set("access_token", "a canary")}, identity.Broken, "", 0},
		"token with umlaut":        {fault{Edit: orchestratortest.Set("access_token", "canäry")}, identity.Broken, "", 0},
		"token of 16 KiB and one":  {fault{Edit: orchestratortest.Set("access_token", strings.Repeat("a", 16<<10+1))}, identity.Broken, "", 0},
		"scope of 4 KiB and one":   {fault{Edit: orchestratortest.Set("scope", strings.Repeat("a", 4<<10+1))}, identity.Broken, "", 0},
		"scope with bidi":          {fault{Edit: orchestratortest.Set("scope", "a \u202ecanary")}, identity.Broken, "", 0},
		"scope with C1":            {fault{Edit: orchestratortest.Set("scope", "a\u009b31mcanary")}, identity.Broken, "", 0},
		"scope with a quote":       {fault{Edit: orchestratortest.Set("scope", `a"canary`)}, identity.Broken, "", 0},
		"another type":             {fault{Edit: orchestratortest.Set("token_type", "DPoP")}, identity.Broken, "", 0},
		"scope with newline":       {fault{Edit: orchestratortest.Set("scope", "a\ncanary")}, identity.Broken, "", 0},
		"scope is a list":          {fault{Edit: orchestratortest.Set("scope", []string{"canary"})}, identity.Broken, "", 0},
		"expires_in 0":             {fault{Edit: orchestratortest.Set("expires_in", 0)}, identity.Broken, "", 0},
		"expires_in negative":      {fault{Edit: orchestratortest.Set("expires_in", -1)}, identity.Broken, "", 0},
		"expires_in quoted 0":      {fault{Edit: orchestratortest.Set("expires_in", "0")}, identity.Broken, "", 0},
		"expires_in no number":     {fault{Edit: orchestratortest.Set("expires_in", "canary")}, identity.Broken, "", 0},
		"expires_in object":        {fault{Edit: orchestratortest.Set("expires_in", map[string]any{})}, identity.Broken, "", 0},
		"expires_in beyond floats": {fault{Body: `{"access_token":"canary","token_type":"Bearer","expires_in":1e999}`}, identity.Broken, "", 0},
		"opaque without an end":    {fault{Body: `{"access_token":"canary","token_type":"Bearer"}`}, identity.Broken, "", 0},
		"null instead of an end":   {fault{Body: `{"access_token":"canary","token_type":"Bearer","expires_in":null}`}, identity.Broken, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, orchestratortest.Options{})
			s.Fault("/connect/token", c.fault)
			_, err := newClient(t, 3*time.Second).ClientCredentials(t.Context(), requestOf(s, s.AddMachine("", canary)))
			if e := failure(t, err); e.Kind != c.kind || e.Code != c.code || e.RetryAfter != c.retry {
				t.Errorf("got %#v", e)
			}
			if s.TokenRequests() != 1 {
				t.Errorf("%d requests", s.TokenRequests())
			}
		})
	}
	t.Cleanup(func() {
		if n := other.Requests(""); n != 0 {
			t.Errorf("the other server had %d requests", n)
		}
	})
}

func TestASecretThatLooksLikeACode(t *testing.T) {
	s := newServer(t, orchestratortest.Options{})
	s.Fault("", orchestratortest.Fault{Status: 400, Body: `{"error":"` + canaryCode + `"}`})
	_, err := newClient(t, 0).ClientCredentials(t.Context(), requestOf(s, s.AddMachine("", canaryCode)))
	if e := failure(t, err); e.Code != "" {
		t.Errorf("it became the code %q", e.Code)
	}
}

func TestRetryAfterAsADate(t *testing.T) {
	s := newServer(t, orchestratortest.Options{})
	s.SetSkew(-time.Hour) // the date is the server's: its own clock counts
	s.Fault("", orchestratortest.Fault{Status: 429, RetryAfter: time.Now().Add(90*time.Second - time.Hour).UTC().Format(http.TimeFormat)})
	_, err := newClient(t, 0).ClientCredentials(t.Context(), requestOf(s, s.AddMachine("", canary)))
	if e := failure(t, err); (e.RetryAfter - 90*time.Second).Abs() > 5*time.Second {
		t.Errorf("wait %v", e.RetryAfter)
	}
	dateless := fake(func(*http.Request) (*http.Response, error) {
		answer := respond(429, "text/plain", "", "")
		answer.Header.Set("Retry-After", time.Now().Add(90*time.Second).UTC().Format(http.TimeFormat))
		return answer, nil
	})
	_, err = dateless.ClientCredentials(t.Context(), identity.Request{TokenEndpoint: "https://idp.corp/token", ClientID: "c", Secret: vault.NewSecret(canary)})
	if e := failure(t, err); (e.RetryAfter - 90*time.Second).Abs() > 5*time.Second {
		t.Errorf("wait %v without the server's clock", e.RetryAfter)
	}
}

func TestWhatIsSent(t *testing.T) {
	var sent url.Values
	client := fake(func(r *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		sent, _ = url.ParseQuery(string(body))
		if r.Method != "POST" || r.URL.Path != "/token" || r.Header.Get("Authorization") != "" || strings.Contains(r.URL.String(), "canary") {
			t.Errorf("sent %s %s", r.Method, r.URL)
		}
		return respond(200, "application/json", "", `{"access_token":"t","expires_in":60}`), nil
	})
	g, err := client.ClientCredentials(t.Context(), identity.Request{TokenEndpoint: "https://idp.corp/token", ClientID: "c",
		Secret: vault.NewSecret(canary), Scopes: []string{"a", "b"}, Audience: "https://api.corp"})
	want := url.Values{"grant_type": {"client_credentials"}, "client_id": {"c"}, "client_secret": {canary}, "scope": {"a b"},
		"audience": {"https://api.corp"}, "resource": {"https://api.corp"}}
	if err != nil || sent.Encode() != want.Encode() || g.Scope != "a b" {
		t.Errorf("sent %v, got %+v, %v", sent, g, err)
	}
}

func TestCallerGone(t *testing.T) {
	s := newServer(t, orchestratortest.Options{})
	s.Fault("", orchestratortest.Fault{Delay: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := newClient(t, 0).ClientCredentials(ctx, requestOf(s, s.AddMachine("", canary)))
	if e := failure(t, err); !errors.Is(err, context.DeadlineExceeded) || e.Kind != identity.Unavailable {
		t.Errorf("got %#v", e)
	}
}

func TestNobodyThere(t *testing.T) {
	s := orchestratortest.New(orchestratortest.Options{})
	r := requestOf(s, s.AddMachine("", canary))
	s.Close()
	_, err := newClient(t, 0).ClientCredentials(t.Context(), r)
	if e := failure(t, err); e.Kind != identity.Unavailable || !strings.Contains(e.What, "nobody answers") {
		t.Errorf("got %#v", e)
	}
}
