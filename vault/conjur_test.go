package vault

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"keytender/vault/vaulttest"
)

// conjurPlace is the fake's branch, logged in to with the host's API key, where

// variables are made by policy and written through the store.

func conjurPlace(t *testing.T, fake *vaulttest.Conjur) place {
	t.Helper()
	p := place{
		config: Config{
			URL:   "conjur://" + fake.Host + "/" + vaulttest.ConjurAccount + "/" + vaulttest.ConjurPolicy,
			CA:    []string{fake.CAFile},
			Write: true,
			Login: Login{Method: "api_key", Username: vaulttest.ConjurLogin},
		},
		undeletable: "removed by policy",
		names:       []string{"team/bot", "a:b", "corp:variable:x", "%2F", "x=y"},
		server:      fake,
	}
	p.options.Bootstrap = func(context.Context, string) (Secret, error) { return NewSecret(fake.Key()), nil }
	p.write = func(t *testing.T, name string, e Entry) {
		t.Helper()
		fake.Declare(idOf(name))
		if err := p.open(t).Put(t.Context(), name, e); err != nil {
			t.Fatalf("Put %s: %v", name, err)
		}
	}
	return p
}

func idOf(name string) string { return vaulttest.ConjurPolicy + "/" + name }

func TestConjurIsAStore(t *testing.T) { testStore(t, conjurPlace(t, vaulttest.FakeConjur(t))) }

func TestConjurOfPairsIsAStore(t *testing.T) {
	fake := vaulttest.FakeConjur(t)
	p := conjurPlace(t, fake)
	p.write = func(t *testing.T, name string, e Entry) {
		t.Helper()
		fake.Declare(idOf(name + "/password"))
		if e.Username != "" {
			fake.Declare(idOf(name + "/username"))
		}
		if err := p.open(t).Put(t.Context(), name, e); err != nil {
			t.Fatalf("Put %s: %v", name, err)
		}
	}
	testStore(t, p)
}

// TestConjurLoginIsRenewed: before its 8 minutes are over, and after Conjur did

// not know it any more; a key that was replaced is taken up by itself.

func TestConjurRefusals(t *testing.T) {
	fake := vaulttest.FakeConjur(t)
	p := conjurPlace(t, fake)
	st := p.open(t)
	fake.Declare(idOf("empty"))
	fake.Set(idOf("seen"), canary)
	fake.Permit(idOf("seen"), "read")
	fake.Set(idOf("hidden"), canary)
	fake.Permit(idOf("hidden"))
	fake.Set(idOf("half/password"), canary)
	fake.Set(idOf("half/username"), "id")
	fake.Permit(idOf("half/username"), "read")
	fake.Set(idOf("bytes"), "\xff\xfe"+canary)
	for name, c := range map[string]struct {
		kind error
		says []string
	}{
		"missing": {ErrNotFound, []string{idOf("missing"), "may not see it", "by policy"}},
		"empty":   {ErrNotFound, []string{idOf("empty"), "with a value"}},
		"hidden":  {ErrNotFound, []string{idOf("hidden"), vaulttest.ConjurLogin}},
		"seen":    {ErrDenied, []string{vaulttest.ConjurLogin, "execute", idOf("seen")}},
		"half":    {ErrDenied, []string{"execute", idOf("half/username")}},
		"bytes":   {ErrBroken, []string{idOf("bytes"), "not text"}},
	} {
		wantRefusal(t, second(st.Get(t.Context(), name)), c.kind, append(c.says, "read "+name)...)
	}
	fake.Fail("/secrets/", 500, vaulttest.ServersText)
	wantRefusal(t, second(st.Get(t.Context(), "seen")), ErrUnavailable, "answers 500")
	fake.Fail("/secrets/", 200, "")
	wantRefusal(t, second(st.Get(t.Context(), "seen")), ErrBroken, "empty")

	fake.Set(idOf("fixed"), canary)
	fake.Permit(idOf("fixed"), "read", "execute")
	fake.Set("data/dynamic/x", canary)
	p.config.URL = "conjur://" + fake.Host + "/" + vaulttest.ConjurAccount
	top := p.open(t)
	e := account("", "new")
	wantRefusal(t, st.Put(t.Context(), "missing", e), ErrNotFound, "store missing", "no variable "+idOf("missing")+" or ", "by policy")
	wantRefusal(t, st.Put(t.Context(), "fixed", e), ErrDenied, "store fixed", "update", idOf("fixed"))
	wantRefusal(t, st.Put(t.Context(), "seen", e), ErrDenied, "store seen", "execute")
	wantRefusal(t, top.Put(t.Context(), "data/dynamic/x", e), ErrDenied, "Conjur makes the value")
	fake.Fail("/secrets/", 200, canary)
	fake.Fail("/secrets/", 422, vaulttest.ServersText)
	wantRefusal(t, st.Put(t.Context(), "fixed", e), ErrDenied, "does not take such a value")
	fake.Fail("/secrets/", 404, "")
	fake.Fail("/secrets/", 404, "")
	fake.Fail("/secrets/", 502, vaulttest.ServersText)
	wantRefusal(t, st.Put(t.Context(), "fixed", e), ErrUnavailable, "answers 502")
	for _, name := range []string{"fixed", "seen", "hidden"} {
		if fake.Value(idOf(name)) != canary {
			t.Errorf("%s was changed", name)
		}
	}
	wantRefusal(t, st.Delete(t.Context(), "seen"), ErrDenied, "delete seen", "execute")
}

// TestConjurVariableIsOneSegment: an id is encoded as a whole.

func TestConjurVariableIsOneSegment(t *testing.T) {
	fake := vaulttest.FakeConjur(t)
	fake.Set(idOf("team/bot é?#%2F"), canary)
	get(t, conjurPlace(t, fake).open(t), "team/bot é?#%2F")
	asked := fake.Asked()
	want := "GET /secrets/corp/variable/apps%2Fkeytender%2Fteam%2Fbot%20%C3%A9%3F%23%252F"
	if last := asked[len(asked)-1]; last != want {
		t.Errorf("asked\n %s, want\n %s", last, want)
	}
	if first := asked[0]; first != "POST /authn/corp/host%2Frobots/authenticate" {
		t.Errorf("logged in by %s", first)
	}
}

func TestConjurAddresses(t *testing.T) {
	whole := func(url string) Config {
		return Config{URL: url, Login: Login{Method: "api_key", Username: "host/robots"}}
	}
	for url, says := range map[string]string{
		"conjur://conjur.corp":                      "the account is missing",
		"conjur://conjur.corp/":                     "the account is missing",
		"conjur:///corp":                            "host is missing",
		"conjur://conjur.corp/corp/a//b":            `must not be ""`,
		"conjur://conjur.corp/corp/../b":            `must not be ".."`,
		"conjur://conjur.corp/corp?safe=S":          `"safe" is no part of it`,
		"conjur://me:" + canary + "@conjur.corp/co": "must not",
	} {
		st, err := Open(whole(url), Options{})
		bad, ok := errors.AsType[*ConfigError](err)
		if st != nil || !ok || bad.Field != "url" || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), canary) {
			t.Errorf("Open(%q): %v, want a ConfigError of url that says %q", url, err, says)
		}
	}
	for field, change := range map[string]func(*Config){
		"login.method":     func(c *Config) { c.Login.Method = "" },
		"login.username":   func(c *Config) { c.Login.Username = "" },
		"login.service":    func(c *Config) { c.Login.Service = "k8s" },
		"login.token_file": func(c *Config) { c.Login = Login{Method: "jwt", Service: "k8s"} },
		"login.role":       func(c *Config) { c.Login.Role = "x" },
		"engine":           func(c *Config) { c.Engine = "kv2" },
		"fields":           func(c *Config) { c.Fields = Fields{Username: "x", Secret: "x"} },
		"timeout":          func(c *Config) { c.Timeout = time.Hour },
	} {
		c := whole("conjur://conjur.corp/corp")
		change(&c)
		if _, err := Open(c, Options{}); !isConfigError(err, field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, c := range []Config{
		{URL: "conjur://h/a", Login: Login{Method: "api_key", Username: "host//robots"}},
		{URL: "conjur://h/a", Login: Login{Method: "jwt", Service: "k8s", TokenFile: "relative"}},
		{URL: "conjur://h/a", Fields: Fields{Secret: "username"}, Login: Login{Method: "api_key", Username: "x"}},
	} {
		if _, err := Open(c, Options{}); !isConfigError(err, "login.username") && !isConfigError(err, "login.token_file") && !isConfigError(err, "fields") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for url, want := range map[string]string{
		"conjur://conjur.corp/corp/a/b":                         "https://conjur.corp/secrets/corp/variable/a%2Fb%2Fbot",
		"conjur://conjur.corp:8443/corp":                        "https://conjur.corp:8443/secrets/corp/variable/bot",
		"conjur://acme.secretsmgr.cyberark.cloud/conjur/data":   "https://acme.secretsmgr.cyberark.cloud/api/secrets/conjur/variable/data%2Fbot",
		"conjur://acme-SecretsManager.cyberark.cloud:443/corp":  "https://acme-SecretsManager.cyberark.cloud:443/api/secrets/corp/variable/bot",
		"conjur://secretsmgr.cyberark.cloud.evil.example/corp":  "https://secretsmgr.cyberark.cloud.evil.example/secrets/corp/variable/bot",
		"conjur://conjur.corp/my%20corp/a%3Fb%2520c/with%23but": "https://conjur.corp/secrets/my%20corp/variable/a%3Fb%2520c%2Fwith%23but%2Fbot",
	} {
		st, err := openConjur(whole(url), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if s := st.(*conjur); s.variable(s.policy+"bot") != want {
			t.Errorf("%s: %s, want %s", url, s.variable(s.policy+"bot"), want)
		}
	}
}

func isConfigError(err error, field string) bool {
	bad, ok := errors.AsType[*ConfigError](err)
	return ok && bad.Field == field
}

// TestConjurHeedsNoEnvironment: what the vendor's own clients read decides

// nothing here, and what they write is not touched. It runs in a process of its

// own, for some of it would be read before any test.

// TestConjurTokenIsShownNowhere: it is in no error and in no print of the store.
