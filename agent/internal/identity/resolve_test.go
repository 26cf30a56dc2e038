package identity_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"keytender/agent/internal/identity"
	"keytender/agent/internal/orchestrator"
	"keytender/agent/orchestratortest"
	"keytender/vault/egress"
)

const discovery = "/.well-known/openid-configuration"

func TestResolve(t *testing.T) {
	type fault = orchestratortest.Fault
	other := newServer(t, orchestratortest.Options{})
	for name, c := range map[string]struct {
		fault     fault
		ask       func(s *orchestratortest.Server, q *identity.Question)
		kind      identity.Kind // "": it works
		step      string        // part of it
		warning   string
		said      string // part of the error
		todo      string
		confirmed bool // an *UnconfirmedError is expected
	}{
		"guessed":               {step: "discovery at "},
		"named":                 {ask: named, step: "explicit identity"},
		"named with a slash":    {ask: func(s *orchestratortest.Server, q *identity.Question) { q.Identity = s.Identity + "/" }, step: "explicit identity"},
		"guessed, other issuer": {fault: fault{Edit: orchestratortest.Set("issuer", other.Identity)}, kind: identity.Refused, said: other.Origin + ",", todo: "--identity"},
		"named, other issuer":   {ask: named, fault: fault{Edit: orchestratortest.Set("issuer", other.Origin+"/canary")}, kind: identity.Refused, said: other.Origin, todo: "--identity"},
		"named, issuer elsewhere on its server": {ask: func(s *orchestratortest.Server, q *identity.Question) { q.Identity = s.Identity },
			fault: fault{Edit: func(a map[string]any) { a["issuer"] = a["issuer"].(string) + "/canary" }}, kind: identity.Refused, said: "another issuer"},
		"guessed, endpoint elsewhere": {fault: fault{Edit: orchestratortest.Set("token_endpoint", other.Identity+"/connect/token")}, kind: identity.Refused, said: other.Origin, todo: "--identity"},
		"named, endpoint elsewhere":   {ask: named, fault: fault{Edit: orchestratortest.Set("token_endpoint", other.Identity+"/connect/token")}, confirmed: true},
		"named, endpoint elsewhere, confirmed": {ask: func(s *orchestratortest.Server, q *identity.Question) {
			q.Identity, q.TokenEndpoint = s.Identity, other.Identity+"/connect/token"
		}, fault: fault{Edit: orchestratortest.Set("token_endpoint", other.Identity+"/connect/token")}, step: "explicit identity"},
		"named, endpoint elsewhere than confirmed": {ask: func(s *orchestratortest.Server, q *identity.Question) {
			q.Identity, q.TokenEndpoint = s.Identity, other.Identity+"/connect/other"
		}, fault: fault{Edit: orchestratortest.Set("token_endpoint", other.Identity+"/connect/token")}, confirmed: true},
		"guessed, endpoint elsewhere, confirmation does not help": {ask: func(s *orchestratortest.Server, q *identity.Question) {
			q.TokenEndpoint = other.Identity + "/connect/token"
		},
			fault: fault{Edit: orchestratortest.Set("token_endpoint", other.Identity+"/connect/token")}, kind: identity.Refused},
		"endpoint without TLS":        {fault: fault{Edit: orchestratortest.Set("token_endpoint", "http://192.0.2.1/token")}, kind: identity.Refused, said: "without TLS"},
		"named, endpoint without TLS": {ask: named, fault: fault{Edit: orchestratortest.Set("token_endpoint", "http://192.0.2.1/token")}, kind: identity.Refused, said: "without TLS"},
		"endpoint no URL":             {fault: fault{Edit: orchestratortest.Set("token_endpoint", "\x00canary")}, kind: identity.Refused},
		"endpoint with password":      {fault: fault{Edit: orchestratortest.Set("token_endpoint", "https://u:canary@h/")}, kind: identity.Refused},
		"guessed, grant not listed": {fault: fault{Edit: orchestratortest.Set("grant_types_supported", []string{"authorization_code", "<b>canary"})},
			kind: identity.Refused, said: "authorization_code", todo: "--identity"},
		"named, grant not listed":   {ask: named, fault: fault{Edit: orchestratortest.Set("grant_types_supported", []string{"password"})}, step: "explicit identity", warning: "(it lists password)"},
		"guessed, no grants listed": {fault: fault{Edit: orchestratortest.Drop("grant_types_supported")}, kind: identity.Refused, said: "lists none", todo: "--identity"},
		"named, no grants listed":   {ask: named, fault: fault{Edit: orchestratortest.Drop("grant_types_supported")}, step: "explicit identity", warning: "(it lists none)"},
		"HTML":                      {fault: fault{HTML: true}, kind: identity.Broken, said: "web page", todo: "--identity"},
		"named, HTML":               {ask: named, fault: fault{HTML: true}, kind: identity.Broken, said: "web page"},
		"missing":                   {fault: fault{Status: 404}, kind: identity.Broken, said: "404", todo: "--identity"},
		"other JSON":                {fault: fault{Body: `{"canary":1}`}, kind: identity.Broken},
		"wrong types":               {fault: fault{Body: `{"issuer":["canary"],"token_endpoint":1}`}, kind: identity.Broken},
		"half":                      {fault: fault{Cut: true}, kind: identity.Broken, said: "complete"},
		"200 MB":                    {fault: fault{Size: 200 << 20}, kind: identity.Broken, said: "1 MiB"},
		"redirect":                  {fault: fault{Redirect: other.Identity + "/canary"}, kind: identity.Broken, said: "redirect"},
		"down":                      {fault: fault{Status: 503}, kind: identity.Unavailable, said: "503"},
		"too many":                  {fault: fault{Status: 429}, kind: identity.Unavailable},
		"endpoint with a query":     {fault: fault{Edit: orchestratortest.Set("token_endpoint", "https://idp.corp/token?canary")}, kind: identity.Refused, said: "has a query"},
		"slow":                      {fault: fault{Delay: time.Minute}, kind: identity.Unavailable, said: "in time"},
		"no way to guess":           {ask: func(_ *orchestratortest.Server, q *identity.Question) { q.Orchestrator = nil }, kind: identity.Refused, todo: "--identity"},
		"named without TLS":         {ask: func(_ *orchestratortest.Server, q *identity.Question) { q.Identity = "http://idp.corp" }, kind: identity.Refused, said: "without TLS"},
		"named with a password":     {ask: func(_ *orchestratortest.Server, q *identity.Question) { q.Identity = "https://u:canary@idp.corp" }, kind: identity.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, orchestratortest.Options{})
			if c.fault.Edit != nil || c.fault.HTML || c.fault.Cut || c.fault.Body != "" || c.fault.Redirect != "" || c.fault.Status+int(c.fault.Size)+int(c.fault.Delay) != 0 {
				s.Fault(".well-known", c.fault)
			}
			q := identity.Question{Orchestrator: address(t, s.Orchestrator)}
			if c.ask != nil {
				c.ask(s, &q)
			}
			got, err := newClient(t, 3*time.Second).Resolve(t.Context(), q)
			silent(t, err)
			if unconfirmed, ok := errors.AsType[*identity.UnconfirmedError](err); ok || c.confirmed {
				if !ok || !c.confirmed || unconfirmed.TokenEndpoint != other.Identity+"/connect/token" {
					t.Errorf("got %v", err)
				}
				return
			}
			if c.kind == "" {
				if err != nil || !strings.HasPrefix(got.Step, c.step) || got.TokenEndpoint == "" || !strings.Contains(got.Warning, c.warning) || (got.Warning == "") != (c.warning == "") {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			failed, ok := errors.AsType[*identity.ResolveError](err)
			if !ok || failed.Kind != c.kind || !strings.Contains(failed.Error(), c.said) || !strings.Contains(failed.Todo, c.todo) || failed.Todo == "" {
				t.Errorf("got %#v", err)
			}
			if n := s.TokenRequests() + s.Requests("odata"); n != 0 {
				t.Errorf("%d requests went elsewhere", n)
			}
		})
	}
	t.Cleanup(func() { // after the parallel ones
		if n := other.Requests(""); n != 0 {
			t.Errorf("the other server had %d requests", n)
		}
	})
}

func named(s *orchestratortest.Server, q *identity.Question) { q.Identity = s.Identity }

// What a document says of issuer and endpoint is a plain address, or is refused
// without being shown.
func TestHostileAddressesInADocument(t *testing.T) {
	for name, c := range map[string]struct{ issuer, endpoint string }{
		"fragment in the issuer":       {"https://h.corp/identity_#\x1b]0;canary\x07\n", ""},
		"query in the issuer":          {"https://h.corp/identity_?canary", ""},
		"person in the issuer":         {"https://canary@h.corp/identity_", ""},
		"C1 and bidi in the issuer":    {"https://canary\u009b31m\u202exyz.example/identity_", ""},
		"the same, percent-encoded":    {"https://canary%c2%9b31m%e2%80%ae.example/identity_", ""},
		"markup in the issuer":         {"https://<canary>.example/identity_", ""},
		"1 MB in the issuer":           {"https://h.corp/identity_/" + strings.Repeat("canary", 160_000), ""},
		"another path, bidi":           {"https://h.corp/canary\u202e", ""},
		"C1 and bidi in the endpoint":  {"", "https://h.corp/\u009b2J\u202ecanary"},
		"bidi in the endpoint's host":  {"", "https://canary\u202e.corp/"},
		"a look-alike of the endpoint": {"", "https://h.c\u043erp/canary"},
		"bidi in the endpoint's query": {"", "https://h.corp/token?x=\u009b2J\u202ecanary"},
		"1 MB in the endpoint":         {"", "https://h.corp/" + strings.Repeat("canary", 160_000)},
	} {
		t.Run(name, func(t *testing.T) {
			doc := map[string]any{"issuer": cmp.Or(c.issuer, "https://h.corp/identity_"), "token_endpoint": cmp.Or(c.endpoint, "https://h.corp/token"), "grant_types_supported": []string{"client_credentials"}}
			body, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			client := fake(func(*http.Request) (*http.Response, error) {
				return respond(200, "application/json", "", string(body)), nil
			})
			for _, q := range []identity.Question{{Identity: "https://h.corp/identity_"}, {Orchestrator: address(t, "https://h.corp/acme/prod")}} {
				got, err := client.Resolve(t.Context(), q)
				failed, ok := errors.AsType[*identity.ResolveError](err)
				if !ok || failed.Kind != identity.Refused || failed.Todo == "" {
					t.Errorf("got %.200q, %.200v", fmt.Sprint(got), err)
				}
				silent(t, err)
			}
		})
	}
}

func TestIssuerIsNormalized(t *testing.T) {
	client := routes(t, map[string]string{"https://as.corp/tenant" + discovery: `{"issuer":"https://AS.corp:443/tenant/","token_endpoint":"https://as.corp/token"}`})
	got, err := client.Resolve(t.Context(), identity.Question{Identity: "https://as.corp/tenant/"})
	if err != nil || got.Issuer != "https://as.corp/tenant" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestResolveTellsWhenToAskAgain(t *testing.T) {
	s := newServer(t, orchestratortest.Options{})
	for _, status := range []int{429, 503} {
		s.Fault(".well-known", orchestratortest.Fault{Status: status, RetryAfter: "7"})
		_, err := newClient(t, 0).Resolve(t.Context(), identity.Question{Orchestrator: address(t, s.Orchestrator)})
		if failed, ok := errors.AsType[*identity.ResolveError](err); !ok || failed.RetryAfter != 7*time.Second {
			t.Errorf("%d: got %#v", status, err)
		}
	}
}

func TestResolveTellsTheSkew(t *testing.T) {
	s := newServer(t, orchestratortest.Options{})
	s.SetSkew(-3 * time.Hour)
	got, err := newClient(t, 0).Resolve(t.Context(), identity.Question{Orchestrator: address(t, s.Orchestrator)})
	if err != nil || (got.Skew+3*time.Hour).Abs() > time.Minute {
		t.Errorf("skew %v, %v", got.Skew, err)
	}
}

func TestUnknownAuthorityNamesTheSetting(t *testing.T) {
	s := newServer(t, orchestratortest.Options{TLS: true})
	q := identity.Question{Orchestrator: address(t, s.Orchestrator)}
	_, err := newClient(t, 0).Resolve(t.Context(), q)
	if failed, ok := errors.AsType[*identity.ResolveError](err); !ok || !strings.Contains(failed.Todo, "ca in config.yaml") {
		t.Errorf("got %#v", err)
	}
	if _, err := newClient(t, 0, s).Resolve(t.Context(), q); err != nil {
		t.Errorf("with its authority: %v", err)
	}
}

// routes answers GET requests by path and query; the rest is 404.
func routes(t *testing.T, answers map[string]string) *identity.Client {
	t.Helper()
	return fake(func(r *http.Request) (*http.Response, error) {
		body, ok := answers[r.URL.String()]
		if !ok {
			return respond(404, "text/plain", "", "no"), nil
		}
		return respond(200, "application/json", "", body), nil
	})
}

func TestWhereDiscoveryIsLookedFor(t *testing.T) {
	const grants = `"grant_types_supported":["client_credentials"]`
	for name, c := range map[string]struct {
		question identity.Question
		answers  map[string]string
		issuer   string
		asked    []string
	}{
		"Cloud, host level first": {
			identity.Question{Orchestrator: address(t, "https://cloud.uipath.com/acme/prod")},
			map[string]string{"https://cloud.uipath.com/acme/identity_" + discovery: `{"issuer":"https://cloud.uipath.com/identity_","token_endpoint":"https://cloud.uipath.com/acme/identity_/connect/token",` + grants + `}`},
			"https://cloud.uipath.com/identity_",
			[]string{"https://cloud.uipath.com/identity_" + discovery, "https://cloud.uipath.com/acme/identity_" + discovery},
		},
		"standalone": {
			identity.Question{Orchestrator: address(t, "https://orch.corp")},
			map[string]string{"https://orch.corp/identity" + discovery: `{"issuer":"https://orch.corp/identity","token_endpoint":"https://orch.corp:443/identity/connect/token",` + grants + `}`},
			"https://orch.corp/identity", []string{"https://orch.corp/identity" + discovery},
		},
		"RFC 8414 only": {
			identity.Question{Identity: "https://as.corp/tenant"},
			map[string]string{"https://as.corp/.well-known/oauth-authorization-server/tenant": `{"issuer":"https://as.corp/tenant","token_endpoint":"https://as.corp/token",` + grants + `}`},
			"https://as.corp/tenant", []string{"https://as.corp/tenant" + discovery, "https://as.corp/.well-known/oauth-authorization-server/tenant"},
		},
		"double slash in the endpoint": {
			identity.Question{Identity: "https://as.corp/api/oidc"},
			map[string]string{"https://as.corp/api/oidc" + discovery: `{"issuer":"https://as.corp/api/oidc","token_endpoint":"https://as.corp//api/oidc/token",` + grants + `}`},
			"https://as.corp/api/oidc", []string{"https://as.corp/api/oidc" + discovery},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := routes(t, c.answers).Resolve(t.Context(), c.question)
			if err != nil || got.Issuer != c.issuer || !slices.Equal(got.Asked, c.asked) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestOrchestratorsOwnAnswer(t *testing.T) {
	const (
		base = "https://h.corp/acme/prod/orchestrator_"
		doc  = `{"issuer":"https://h.corp/id","token_endpoint":"https://h.corp/id/token","grant_types_supported":["password"]}`
		std  = `{"issuer":"https://h.corp/identity_","token_endpoint":"https://h.corp/identity_/connect/token","grant_types_supported":["client_credentials"]}`
	)
	for name, c := range map[string]struct {
		answer, grants string
		step, said     string
	}{
		"confirms":        {`{"auth":{"id":"https://h.corp/id","grants":["password","client_credentials"]}}`, "/auth/grants", "the Orchestrator's own answer", ""},
		"a path":          {`{"auth":{"id":"/id","grants":"client_credentials"}}`, "/auth/grants", "the Orchestrator's own answer", ""},
		"other grants":    {`{"auth":{"id":"/id","grants":["password"]}}`, "/auth/grants", "", "not among the grants"},
		"nothing there":   {`{"auth":{"id":"/id"}}`, "/auth/0/x", "", "not among the grants"},
		"no grants asked": {`{"auth":{"id":"/id"}}`, "", "", "does not list client_credentials"},
		"another server":  {`{"auth":{"id":"https://evil.corp/id","grants":["client_credentials"]}}`, "/auth/grants", "", "another server"},
		"no identity":     {`{"auth":{"canary":1}}`, "", "", "identity_pointer"},
		"not JSON":        {`canary`, "", "", "not JSON"},
		"not there":       {"", "/auth/grants", "discovery at ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			answers := map[string]string{"https://h.corp/id" + discovery: doc, "https://h.corp/identity_" + discovery: std}
			if c.answer != "" {
				answers[base+"/api/auth"] = c.answer
			}
			got, err := routes(t, answers).Resolve(t.Context(), identity.Question{
				Orchestrator: address(t, base),
				AuthConfig:   &identity.AuthConfig{Path: "/api/auth", IdentityPointer: "/auth/id", GrantsPointer: c.grants},
			})
			silent(t, err)
			if c.said != "" {
				if err == nil || !strings.Contains(err.Error(), c.said) {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if err != nil || !strings.HasPrefix(got.Step, c.step) || (c.answer == "") != (got.Warning != "") {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// No document that a guessed server sends makes the secret go anywhere but to the
// Orchestrator's server.
func FuzzDiscovery(f *testing.F) {
	f.Add(`{"issuer":"https://h.corp/identity_","token_endpoint":"https://h.corp/t","grant_types_supported":["client_credentials"]}`)
	f.Add(`{"issuer":"https://h.corp@evil.corp","token_endpoint":"https://h.corp:443\\@evil.corp/t","grant_types_supported":["client_credentials"]}`)
	f.Add(`{"issuer":"//h.corp","token_endpoint":"https://H.CORP.:443/?#","grant_types_supported":null}`)
	q := identity.Question{Orchestrator: &orchestrator.Address{Origin: "https://h.corp", Org: "a", Tenant: "b", Edition: orchestrator.Suite}}
	f.Fuzz(func(t *testing.T, body string) {
		client := fake(func(*http.Request) (*http.Response, error) { return respond(200, "application/json", "", body), nil })
		got, err := client.Resolve(t.Context(), q)
		if err != nil {
			if failed, ok := errors.AsType[*identity.ResolveError](err); !ok || failed.Todo == "" || !printable(failed.Error()) {
				t.Errorf("got %#v", err)
			}
			return
		}
		if u, err := url.Parse(got.TokenEndpoint); err != nil || u.Scheme != "https" || u.User != nil || !strings.EqualFold(u.Hostname(), "h.corp") || u.Port() != "" && u.Port() != "443" {
			t.Errorf("the secret would go to %q", got.TokenEndpoint)
		}
		if _, err := egress.CheckURL(got.Issuer); err != nil || !printable(got.TokenEndpoint+got.Step+got.Warning+strings.Join(got.Asked, "")) {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}
