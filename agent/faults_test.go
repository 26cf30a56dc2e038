package agent

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"keytender/agent/api"
	"keytender/agent/orchestratortest"
)

// simulated is an Orchestrator with a robot that can be paired, for faults
// that no real server has on demand.
type simulated struct {
	*orchestratortest.Server
	robot orchestratortest.Client
}

func orchestratorOf(t *testing.T) *simulated {
	t.Helper()
	s := orchestratortest.New(orchestratortest.Options{})
	t.Cleanup(s.Close)
	return &simulated{s, s.AddMachine("", "canary-QJX!jv12345A4q4N")}
}

func (s *simulated) pairing() api.Pairing {
	return api.Pairing{Name: "invoices", Kind: "robot", URL: s.Orchestrator, ClientID: s.robot.ID, Secret: s.robot.Secret}
}

const (
	discoveryPath = "/.well-known/openid-configuration"
	tokenPath     = "/connect/token"
)

func TestFaultWhilePairing(t *testing.T) {
	elsewhere := orchestratorOf(t)
	type faults = map[string]orchestratortest.Fault
	cases := map[string]struct {
		faults faults
		code   api.Code
	}{
		"discovery answers HTML":       {faults{discoveryPath: {HTML: true}}, api.ProviderBroken},
		"discovery is cut":             {faults{discoveryPath: {Cut: true}}, api.ProviderBroken},
		"discovery of 200 MB":          {faults{discoveryPath: {Size: 200 << 20}}, api.ProviderBroken},
		"discovery redirects":          {faults{discoveryPath: {Redirect: elsewhere.Identity + discoveryPath}}, api.ProviderBroken},
		"another issuer":               {faults{discoveryPath: {Edit: orchestratortest.Set("issuer", elsewhere.Identity)}}, api.ProviderRefused},
		"token endpoint of another":    {faults{discoveryPath: {Edit: orchestratortest.Set("token_endpoint", elsewhere.Identity+tokenPath)}}, api.ProviderRefused},
		"token endpoint in plain http": {faults{discoveryPath: {Edit: orchestratortest.Set("token_endpoint", "http://192.0.2.1/connect/token")}}, api.ProviderRefused},
		"no client credentials":        {faults{discoveryPath: {Edit: orchestratortest.Set("grant_types_supported", []string{"authorization_code"})}}, api.ProviderRefused},
		"Identity is down":             {faults{"": {Status: http.StatusServiceUnavailable}}, api.ProviderUnavailable},
		"token answers HTML":           {faults{tokenPath: {HTML: true}}, api.ProviderBroken},
		"token is cut":                 {faults{tokenPath: {Cut: true}}, api.ProviderBroken},
		"token of 200 MB":              {faults{tokenPath: {Size: 200 << 20}}, api.ProviderBroken},
		"token redirects":              {faults{tokenPath: {Redirect: elsewhere.Identity + tokenPath}}, api.ProviderBroken},
		"token redirects by 302":       {faults{tokenPath: {Redirect: elsewhere.Identity + tokenPath, Status: http.StatusFound}}, api.ProviderBroken},
		"token is busy":                {faults{tokenPath: {Status: http.StatusTooManyRequests, RetryAfter: "7"}}, api.ProviderUnavailable},
		"token fails":                  {faults{tokenPath: {Status: http.StatusInternalServerError}}, api.ProviderUnavailable},
		"token has expired":            {faults{tokenPath: {Edit: orchestratortest.Set("expires_in", 0)}}, api.ProviderBroken},
		"token is not a bearer":        {faults{tokenPath: {Edit: orchestratortest.Set("token_type", "mac")}}, api.ProviderBroken},
		"token is missing":             {faults{tokenPath: {Edit: orchestratortest.Drop("access_token")}}, api.ProviderBroken},
		"token has a line feed":        {faults{tokenPath: {Edit: orchestratortest.Set("access_token", "a\r\nb")}}, api.ProviderBroken},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s, r := orchestratorOf(t), start(t, "")
			for path, fault := range c.faults {
				s.Fault(path, fault)
			}
			_, steps, err := r.pairing(t, s.pairing())
			failsWith(t, err, c.code)
			if n := r.entries(t); n != 0 {
				t.Errorf("%d entries are left in the store", n)
			}
			if list, err := r.Profiles(t.Context()); err != nil || len(list) != 0 {
				t.Errorf("profiles %v, %v", list, err)
			}
			if n := elsewhere.Requests(""); n != 0 {
				t.Errorf("%d requests went to the other server", n)
			}
			r.holdsNo(t, []string{s.robot.Secret}, steps, err)
		})
	}
}

func TestTokenEndpointElsewhereWantsAPerson(t *testing.T) {
	s, elsewhere, r := orchestratorOf(t), orchestratorOf(t), start(t, "")
	other := elsewhere.Identity + tokenPath
	s.Fault(discoveryPath, orchestratortest.Fault{Edit: orchestratortest.Set("token_endpoint", other)})
	p := s.pairing()
	p.Identity, p.ClientID, p.Secret = s.Identity, elsewhere.robot.ID, elsewhere.robot.Secret
	_, _, err := r.pairing(t, p)
	if e := failsWith(t, err, api.InvalidRequest); e.TokenEndpoint != other || e.Field != "token_endpoint" {
		t.Errorf("got %+v, want the endpoint to confirm", e)
	}
	if n := elsewhere.Requests(""); n != 0 {
		t.Fatalf("%d requests were sent before anybody confirmed", n)
	}
	p.TokenEndpoint = other
	if result := r.mustPair(t, p); result.TokenEndpoint != other {
		t.Errorf("the secret went to %s", result.TokenEndpoint)
	}
}

func TestAwkwardExpiryIsUnderstood(t *testing.T) {
	cases := map[string]orchestratortest.Fault{
		"quoted":  {Edit: orchestratortest.Set("expires_in", "3600")},
		"missing": {Edit: orchestratortest.Drop("expires_in")}, // the JWT has its own
	}
	for name, fault := range cases {
		t.Run(name, func(t *testing.T) {
			s, r := orchestratorOf(t), start(t, "")
			s.Fault(tokenPath, fault)
			r.mustPair(t, s.pairing())
			token, err := r.Token(t.Context(), api.TokenRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(token.ExpiresAt); left < 55*time.Minute || left > time.Hour {
				t.Errorf("valid for %s, not for an hour", left)
			}
		})
	}
}

func TestPlainHTTPIsRefusedBeforeAnythingIsSent(t *testing.T) {
	r := start(t, "")
	for _, p := range []api.Pairing{
		{Name: "a", Kind: "robot", URL: "http://192.0.2.1/acme/prod/orchestrator_", ClientID: "x", Secret: "canary-1"},
		{Name: "a", Kind: "app", Identity: "http://192.0.2.1/identity_", ClientID: "x", Secret: "canary-1"},
	} {
		_, _, err := r.pairing(t, p)
		if e := failsWith(t, err, api.InvalidRequest); !strings.Contains(e.Description, "TLS") {
			t.Errorf("got %v", e)
		}
	}
}

func TestUnknownAuthorityNamesTheSetting(t *testing.T) {
	s := orchestratortest.New(orchestratortest.Options{TLS: true})
	t.Cleanup(s.Close)
	robot := s.AddMachine("", "")
	p := api.Pairing{Name: "invoices", Kind: "robot", URL: s.Orchestrator, ClientID: robot.ID, Secret: robot.Secret}
	dir := t.TempDir()
	r := startIn(t, dir, "")
	_, _, err := r.pairing(t, p)
	if e := failsWith(t, err, api.ProviderUnavailable); !strings.Contains(e.Error(), "ca") {
		t.Errorf("got %v", e)
	}
	authority := dir + "/ca.pem"
	writeFile(t, authority, string(s.CAPEM))
	writeFile(t, r.config, sealedConfig(t, dir, "ca: ["+authority+"]\n"))
	if _, err := r.admin.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.mustPair(t, p)
}

func TestNamesWithControlCharacters(t *testing.T) {
	s, r := orchestratorOf(t), start(t, "")
	for _, sign := range []string{"\r", "\n", "\x00", "\x7f"} {
		for field, spoil := range map[string]func(*api.Pairing){
			"name":      func(p *api.Pairing) { p.Name += sign },
			"kind":      func(p *api.Pairing) { p.Kind += sign },
			"url":       func(p *api.Pairing) { p.URL += sign },
			"client_id": func(p *api.Pairing) { p.ClientID += sign },
			"identity":  func(p *api.Pairing) { p.Identity = s.Identity + sign },
			"scopes":    func(p *api.Pairing) { p.Scopes = []string{"OR.Jobs" + sign + "x"} },
			"store":     func(p *api.Pairing) { p.Store = "sealed:" + sign },
			"secret":    func(p *api.Pairing) { p.Secret += sign },
			"settings":  func(p *api.Pairing) { p.Settings = map[string]string{"audience": sign} },
		} {
			p := s.pairing()
			spoil(&p)
			_, _, err := r.pairing(t, p)
			if e, ok := err.(*api.Error); !ok || e.Code != api.InvalidRequest {
				t.Errorf("%q in %s: got %v", sign, field, err)
			}
		}
		if _, err := r.Token(t.Context(), api.TokenRequest{Profile: "a" + sign}); err == nil {
			t.Errorf("%q in a token request was accepted", sign)
		}
	}
	if n := s.Requests(""); n != 0 {
		t.Errorf("%d requests went out", n)
	}
}
