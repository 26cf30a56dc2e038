package orchestrator

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"keytender/vault/egress"
)

func TestParse(t *testing.T) {
	cloud := Address{Origin: "https://cloud.uipath.com", Base: "https://cloud.uipath.com/acme/prod/orchestrator_", Org: "acme", Tenant: "prod", Edition: Cloud}
	suite := Address{Origin: "https://suite.corp:8443", Base: "https://suite.corp:8443/acme/prod/orchestrator_", Org: "acme", Tenant: "prod", Edition: Suite}
	umlaut := Address{Origin: "https://h.corp", Base: "https://h.corp/acme/Gr%C3%B6%C3%9Fe/orchestrator_", Org: "acme", Tenant: "Größe", Edition: Suite}
	alone := Address{Origin: "https://orch.corp", Base: "https://orch.corp", Edition: Standalone}
	below := Address{Origin: "https://orch.corp", Base: "https://orch.corp/rpa", Edition: Standalone}
	spaced := Address{Origin: "https://h.corp", Base: "https://h.corp/acme/My%20Tenant/orchestrator_", Org: "acme", Tenant: "My Tenant", Edition: Suite}
	for _, c := range []struct {
		raw     string
		edition Edition
		want    Address
	}{
		{"https://cloud.uipath.com/acme/prod/orchestrator_", "", cloud},
		{"https://cloud.uipath.com/acme/prod/orchestrator_/", "", cloud},
		{"https://cloud.uipath.com/acme/prod", "", cloud},
		{"https://Cloud.UiPath.com:443/acme/prod/", "", cloud},
		{"https://suite.corp:8443/acme/prod/orchestrator_", "", suite},
		{"https://suite.corp:8443/acme/prod", Suite, suite},
		{"https://orch.corp", "", alone},
		{"https://orch.corp/", "", alone},
		{"https://orch.corp/rpa", "", below},
		{"https://orch.corp/rpa/", Standalone, below},
		{"https://h.corp/acme/My%20Tenant", "", spaced},
		{"https://h.corp/acme/Gr%C3%B6%c3%9fe", "", umlaut},
		// A gateway before a standalone Orchestrator: the setting wins.
		{"https://gw.corp/a/b", Standalone, Address{Origin: "https://gw.corp", Base: "https://gw.corp/a/b", Edition: Standalone}},
		// The name is at the end of another domain: not Cloud.
		{"https://uipath.com.corp/a/b", "", Address{Origin: "https://uipath.com.corp", Base: "https://uipath.com.corp/a/b/orchestrator_", Org: "a", Tenant: "b", Edition: Suite}},
	} {
		got, err := ParseAs(c.raw, c.edition)
		c.want.Raw = c.raw
		if err != nil || got != c.want {
			t.Errorf("%s as %q:\n got %+v, %v\nwant %+v", c.raw, c.edition, got, err, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		raw     string
		edition Edition
	}{
		{"", ""},
		{"cloud.uipath.com/acme/prod", ""},
		{"http://suite.corp/acme/prod", ""},
		{"https://cloud.uipath.com", ""},
		{"https://cloud.uipath.com/acme", ""},
		{"https://cloud.uipath.com/acme/prod/orchestrator_/canary", ""},
		{"https://host/orchestrator_", ""},
		{"https://host/a/b/canary", ""},
		{"https://host/acme/../prod", ""},
		{"https://host/acme/%2e%2e", ""},
		{"https://host/acme//prod", ""},
		{"https://host/acme/pr%0d%0aod", ""},
		{"https://host/acme/pr%00od", ""},
		{"https://host/acme/a%2fb", ""},
		{"https://host/acme/canary%e2%80%ae", ""},
		{"https://host/acme/canary%c2%9b31m", ""},
		{"https://host/acme/canary%ff", ""},
		{"https://host/acme/canary\u202e", ""},
		{"https://canary\u202e.corp/acme/prod", ""},
		{"https://canary%c2%9b31m.corp/acme/prod", ""},
		{"https://[fe80::1%25canary]/acme/prod", ""},
		{"https://host/" + strings.Repeat("a%20", 300), ""},
		{"https://host/acme/prod", "\u202ecanteen"},
		{"https://user:canary@host/acme/prod", ""},
		{"https://host/acme/prod?canary", ""},
		{"https://host/acme", Suite},
		{"https://host/acme/prod", "canteen"},
	} {
		got, err := ParseAs(c.raw, c.edition)
		if err == nil {
			t.Errorf("%q as %q became %+v", c.raw, c.edition, got)
		} else if strings.Contains(err.Error(), "canary") || !printable(err.Error()) {
			t.Errorf("%q is repeated: %q", c.raw, err)
		}
	}
}

func printable(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' })
}

func TestWhereThingsAre(t *testing.T) {
	for raw, want := range map[string]struct {
		identity []string
		url      string
	}{
		"https://cloud.uipath.com/acme/prod": {
			[]string{"https://cloud.uipath.com/identity_", "https://cloud.uipath.com/acme/identity_"}, "https://cloud.uipath.com/acme/prod"},
		"https://suite.corp/acme/prod/orchestrator_": {[]string{"https://suite.corp/identity_"}, "https://suite.corp/acme/prod"},
		"https://orch.corp":                          {[]string{"https://orch.corp/identity"}, "https://orch.corp"},
		"https://orch.corp/rpa":                      {[]string{"https://orch.corp/rpa/identity", "https://orch.corp/identity"}, "https://orch.corp/rpa"},
	} {
		a, err := Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.IdentityBases(); !slices.Equal(got, want.identity) {
			t.Errorf("%s: identity at %v", raw, got)
		}
		env := a.Environment()
		if env["UIPATH_URL"] != want.url || env["UIPATH_TENANT_NAME"] != a.Tenant {
			t.Errorf("%s: environment %v", raw, env)
		}
	}
}

func TestWhereIdentityIsAdministered(t *testing.T) {
	for _, c := range []struct{ raw, identity, want string }{
		{"https://cloud.uipath.com/acme/prod", "", "https://cloud.uipath.com/acme/identity_"},
		{"https://cloud.uipath.com/acme/prod", "https://cloud.uipath.com/identity_", "https://cloud.uipath.com/acme/identity_"},
		{"https://cloud.uipath.com/acme/prod", "https://cloud.uipath.com/identity_/", "https://cloud.uipath.com/acme/identity_"},
		{"https://cloud.uipath.com/acme/prod", "https://id.corp/identity_", "https://id.corp/identity_"},
		{"https://suite.corp/acme/prod/orchestrator_", "", "https://suite.corp/acme/identity_"},
		{"https://suite.corp/acme/prod", "https://suite.corp/identity_", "https://suite.corp/identity_"},
		{"https://suite.corp/My%20Org/prod", "", "https://suite.corp/My%20Org/identity_"},
		{"https://orch.corp", "", "https://orch.corp/identity"},
		{"https://orch.corp/rpa", "", "https://orch.corp/rpa/identity"},
		{"https://orch.corp/rpa", "https://orch.corp/identity/", "https://orch.corp/identity"},
	} {
		a, err := Parse(c.raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.IdentityAdmin(c.identity); got != c.want {
			t.Errorf("%s with %q: %s, want %s", c.raw, c.identity, got, c.want)
		}
	}
	if got := (Address{}).IdentityAdmin(""); got != "" {
		t.Errorf("no address leads to %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, raw := range []string{"https://cloud.uipath.com/acme/prod/orchestrator_", "https://h/a/%2F", "https://h//", "http://[::1]:1/a/b/"} {
		f.Add(raw, "")
		f.Add(raw, "standalone")
	}
	f.Fuzz(func(t *testing.T, raw, edition string) {
		a, err := ParseAs(raw, Edition(edition))
		if err != nil {
			return
		}
		for _, where := range append(a.IdentityBases(), a.IdentityAdmin(""), a.Base, a.Environment()["UIPATH_URL"]) {
			if !printable(where) {
				t.Errorf("%q led to %q", raw, where)
			}
			u, err := egress.CheckURL(where)
			if err != nil {
				t.Fatalf("%q: %q is no address: %v", raw, where, err)
			}
			if egress.Origin(u) != a.Origin || strings.HasSuffix(where, "/") {
				t.Errorf("%q led to %q of another origin than %q", raw, where, a.Origin)
			}
		}
		again, err := ParseAs(a.Base, a.Edition)
		if again.Raw = raw; err != nil || again != a {
			t.Errorf("%q: its base reads as %+v, %v; was %+v", raw, again, err, a)
		}
		if u, err := url.Parse(raw); err != nil || egress.Origin(u) != a.Origin {
			t.Errorf("%q has origin %q", raw, a.Origin)
		}
	})
}
