package vault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

func TestConjurLoginByJWT(t *testing.T) {
	fake := vaulttest.FakeConjur(t)
	fake.Set(idOf("bot"), canary)
	p := conjurPlace(t, fake)
	file := testFile(t, "head.body-1.sig\n")
	p.config.Login = Login{Method: "jwt", Service: "k8s", TokenFile: file}
	p.options.Bootstrap = nil
	fake.Trust("k8s", "", "head.body-1.sig")
	st := p.open(t)
	sameEntry(t, "bot", get(t, st, "bot"), account("", canary))

	// Another program renews the token, and the next login takes the new one.
	fake.Trust("k8s", "", "head.body-2.sig")
	wantRefusal(t, st.Check(t.Context()), ErrLogin, "log in", file, "k8s", "(401)")
	if err := os.WriteFile(file, []byte("head.body-2.sig"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := st.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}

	p.config.Login.Username = "host/apps/robots"
	wantRefusal(t, p.open(t).Check(t.Context()), ErrLogin, "(401)")
	fake.Trust("k8s", "host/apps/robots", "head.body-2.sig")
	if err := p.open(t).Check(t.Context()); err != nil {
		t.Errorf("with the host's id: %v", err)
	}
	asked := fake.Asked()
	if last := asked[len(asked)-1]; last != "POST /authn-jwt/k8s/corp/host%2Fapps%2Frobots/authenticate" {
		t.Errorf("asked %s", last)
	}

	for what, c := range map[string]struct{ file, says string }{
		"no file":    {filepath.Join(t.TempDir(), "none"), "none"},
		"empty file": {testFile(t, " \n"), "holds no token"},
		"no token":   {testFile(t, strings.Repeat("x", 65<<10)), "holds no token"},
	} {
		t.Run(what, func(t *testing.T) {
			p.config.Login.TokenFile = c.file
			wantRefusal(t, p.open(t).Check(t.Context()), ErrLogin, "log in", c.says)
		})
	}
}

func TestConjurLoginRefused(t *testing.T) {
	fake := vaulttest.FakeConjur(t)
	p := conjurPlace(t, fake)
	fake.Set(idOf("bot"), canary)
	for what, c := range map[string]struct {
		status int
		body   string
		kind   error
		says   string
	}{
		"wrong":           {401, vaulttest.ServersText, ErrLogin, "(401)"},
		"not permitted":   {403, vaulttest.ServersText, ErrLogin, "(403)"},
		"not understood":  {400, vaulttest.ServersText, ErrLogin, "(400)"},
		"another server":  {404, "<html>" + vaulttest.ServersText, ErrLogin, "(404)"},
		"out of order":    {503, vaulttest.ServersText, ErrUnavailable, "answers 503"},
		"another's page":  {200, "<html>" + vaulttest.ServersText, ErrUnavailable, "not as Conjur does"},
		"a token of none": {200, `{"protected":"a","payload":1}`, ErrUnavailable, "not as Conjur does"},
		"a redirect":      {307, "", ErrUnavailable, "redirect"},
		"a huge answer":   {200, strings.Repeat("x", 2<<20), ErrUnavailable, "larger than 1 MiB"},
	} {
		t.Run(what, func(t *testing.T) {
			fake.Fail("/authenticate", c.status, c.body)
			wantRefusal(t, p.open(t).Check(t.Context()), c.kind, "log in", c.says)
			fake.Fail("/authenticate", c.status, c.body)
			wantRefusal(t, second(p.open(t).Get(t.Context(), "bot")), c.kind, "log in", c.says)
		})
	}
	t.Run("another key", func(t *testing.T) {
		p.options.Bootstrap = bootstrap(canary)
		wantRefusal(t, p.open(t).Check(t.Context()), ErrLogin, vaulttest.ConjurLogin, "account corp", "secret set store/NAME")
		p.options.Bootstrap = nil
		wantRefusal(t, p.open(t).Check(t.Context()), ErrLogin, "no credential")
	})
	t.Run("the server's certificate is not trusted", func(t *testing.T) {
		p := conjurPlace(t, fake)
		p.config.CA = nil
		wantRefusal(t, p.open(t).Check(t.Context()), ErrUnavailable, "authority")
		p.config.CA = []string{filepath.Join(t.TempDir(), "none.pem")}
		wantRefusal(t, p.open(t).Check(t.Context()), ErrUnavailable, "none.pem")
	})
}

// TestConjurLoginIsRenewed: before its 8 minutes are over, and after Conjur did
// not know it any more; a key that was replaced is taken up by itself.
func TestConjurLoginIsRenewed(t *testing.T) {
	fake := vaulttest.FakeConjur(t)
	p := conjurPlace(t, fake)
	now := time.Now()
	p.options.Now = func() time.Time { return now }
	fake.Set(idOf("bot"), canary)
	st := p.open(t)
	logins := func(want int) {
		t.Helper()
		st.Forget("bot")
		get(t, st, "bot")
		if n := fake.Logins(); n != want {
			t.Errorf("%d logins, want %d", n, want)
		}
	}
	logins(1)
	now = now.Add(conjurRenewal - time.Second)
	logins(1)
	now = now.Add(2 * time.Second)
	logins(2)
	fake.EndTokens()
	logins(3)
	fake.EndTokens()
	fake.NewKey()
	logins(4)

	fake.Fail("/secrets/", 401, vaulttest.ServersText)
	fake.Fail("/secrets/", 401, vaulttest.ServersText)
	st.Forget("bot")
	before := fake.Reads(t, "bot")
	wantRefusal(t, second(st.Get(t.Context(), "bot")), ErrLogin, "read bot", "just issued (401)")
	if n := fake.Reads(t, "bot") - before; n != 2 {
		t.Errorf("asked %d times", n)
	}
	logins(5) // and the next question may do

	fake.EndTokens()
	key := fake.Key()
	p.options.Bootstrap = bootstrap(key)
	other := p.open(t)
	get(t, other, "bot")
	fake.EndTokens()
	fake.NewKey()
	other.Forget("bot")
	wantRefusal(t, second(other.Get(t.Context(), "bot")), ErrLogin, "log in", vaulttest.ConjurLogin)
}

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

func TestConjurLayouts(t *testing.T) {
	fake := vaulttest.FakeConjur(t)
	const credential = `{"Username":"7f0c","Password":"` + canary + `","n":12345678901234567890}`
	for what, c := range map[string]struct {
		there  map[string]string
		fields Fields
		want   Entry
		put    Entry
		then   map[string]string
	}{
		"plain text": {
			map[string]string{"": canary}, Fields{}, account("", canary),
			account("", "new"), map[string]string{"": "new"},
		},
		"plain text gets a user": {
			map[string]string{"": canary}, Fields{}, account("", canary),
			account("7f0c", "new"), map[string]string{"": `{"Password":"new","Username":"7f0c"}`},
		},
		"plain text that looks like a credential": {
			map[string]string{"": canary}, Fields{}, account("", canary),
			account("", credential), map[string]string{"": `{"Password":"{\"Username\":\"7f0c\",\"Password\":\"` + canary + `\",\"n\":12345678901234567890}","Username":""}`},
		},
		"blanks": {
			map[string]string{"": canary}, Fields{}, account("", canary),
			account("", " \t"), map[string]string{"": `{"Password":" \t","Username":""}`},
		},
		"a credential in JSON": {
			map[string]string{"": credential}, Fields{}, account("7f0c", canary),
			account("8a1d", "new"), map[string]string{"": `{"Password":"new","Username":"8a1d","n":12345678901234567890}`},
		},
		"other JSON": {
			map[string]string{"": `{"key":"x"}`}, Fields{}, account("", `{"key":"x"}`),
			account("", "new"), map[string]string{"": "new"},
		},
		"fields of the customer's": {
			map[string]string{"": `{"id":"7f0c","key":"` + canary + `","more":true}`}, Fields{Username: "id", Secret: "key"}, account("7f0c", canary),
			account("", "new"), map[string]string{"": `{"id":"","key":"new","more":true}`},
		},
		"only the secret named": {
			map[string]string{"": `{"key":"` + canary + `"}`}, Fields{Secret: "key"}, account("", canary),
			account("", "new"), map[string]string{"": `{"key":"new"}`},
		},
		"two variables": {
			map[string]string{"/username": "7f0c", "/password": canary}, Fields{}, account("7f0c", canary),
			account("8a1d", "new"), map[string]string{"": "", "/username": "8a1d", "/password": "new"},
		},
		"two variables, the user stays": {
			map[string]string{"/username": "7f0c", "/password": canary}, Fields{}, account("7f0c", canary),
			account("", "new"), map[string]string{"/username": "7f0c", "/password": "new"},
		},
		"a password alone": {
			map[string]string{"/password": canary}, Fields{}, account("", canary),
			account("", "new"), map[string]string{"": "", "/password": "new"},
		},
		"two variables of the customer's": {
			map[string]string{"/login": "7f0c", "/key": canary, "/password": "other"}, Fields{Username: "login", Secret: "key"}, account("7f0c", canary),
			account("7f0c", "new"), map[string]string{"/login": "7f0c", "/key": "new", "/password": "other"},
		},
		"JSON in one of two variables": {
			map[string]string{"/password": credential}, Fields{}, account("", credential),
			account("", "new"), map[string]string{"/password": "new"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			p := conjurPlace(t, fake)
			p.config.Fields = c.fields
			name := strings.ReplaceAll(what, " ", "-")
			for suffix, value := range c.there {
				fake.Set(idOf(name+suffix), value)
			}
			st := p.open(t)
			sameEntry(t, name, get(t, st, name), c.want)
			if err := st.Put(t.Context(), name, c.put); err != nil {
				t.Fatalf("Put: %v", err)
			}
			for suffix, value := range c.then {
				if got := fake.Value(idOf(name + suffix)); got != value {
					t.Errorf("%s is now %q, not %q", name+suffix, got, value)
				}
			}
			if c.put.Username == "" && c.want.Username != "" && fake.Value(idOf(name)) == "" {
				c.put.Username = c.want.Username
			}
			sameEntry(t, name, get(t, st, name), c.put)
		})
	}
	t.Run("a user name without a variable", func(t *testing.T) {
		fake.Set(idOf("lone/password"), canary)
		err := conjurPlace(t, fake).open(t).Put(t.Context(), "lone", account("7f0c", "new"))
		wantRefusal(t, err, ErrNotFound, "store lone", idOf("lone/username"))
		if fake.Value(idOf("lone/password")) != canary {
			t.Error("half of it was stored")
		}
	})
	t.Run("a user name that stays need not be permitted", func(t *testing.T) {
		fake.Set(idOf("stays/username"), "7f0c")
		fake.Set(idOf("stays/password"), canary)
		fake.Permit(idOf("stays/username"), "read", "execute")
		st := conjurPlace(t, fake).open(t)
		if err := st.Put(t.Context(), "stays", account("7f0c", "new")); err != nil {
			t.Errorf("Put: %v", err)
		}
		wantRefusal(t, st.Put(t.Context(), "stays", account("8a1d", "newer")), ErrDenied, "update", idOf("stays/username"))
		sameEntry(t, "stays", get(t, st, "stays"), account("7f0c", "new"))
	})
	t.Run("no JSON where fields are named", func(t *testing.T) {
		fake.Set(idOf("nojson"), canary)
		p := conjurPlace(t, fake)
		p.config.Fields = Fields{Secret: "key"}
		wantRefusal(t, second(p.open(t).Get(t.Context(), "nojson")), ErrBroken, "read nojson", "key")
	})
	t.Run("a missing key", func(t *testing.T) {
		fake.Set(idOf("nokey"), `{"id":"`+canary+`","other":"`+canary+`"}`)
		p := conjurPlace(t, fake)
		p.config.Fields = Fields{Secret: "key"}
		wantRefusal(t, second(p.open(t).Get(t.Context(), "nokey")), ErrBroken, "read nokey", "id", "other", "key")
	})
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
func TestConjurHeedsNoEnvironment(t *testing.T) {
	if os.Getenv("KEYTENDER_TEST_HOSTILE") != "" {
		fake := vaulttest.FakeConjur(t)
		fake.Set(idOf("bot"), canary)
		sameEntry(t, "bot", get(t, conjurPlace(t, fake).open(t), "bot"), account("", canary))
		for _, asked := range fake.Asked() {
			if strings.Contains(asked, "hostile") {
				t.Errorf("asked %s", asked)
			}
		}
		return
	}
	home, precious := t.TempDir(), "precious\n"
	files := map[string]string{
		".netrc":    "machine 127.0.0.1 login hostile password hostile\n",
		".conjurrc": "account: hostile\nappliance_url: https://127.0.0.1:1\ncredential_storage: file\n",
		"log":       precious, "VERSION": "hostile",
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(home, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestConjurHeedsNoEnvironment$")
	child.Dir = home
	child.Env = append(os.Environ(), "KEYTENDER_TEST_HOSTILE=1", "HOME="+home, "CONJURAPI_LOG="+filepath.Join(home, "log"),
		"CONJURRC="+filepath.Join(home, ".conjurrc"), "CONJUR_KEYCHAIN_NAMESPACE=", "CONJUR_CREDENTIAL_STORAGE=file",
		"CONJUR_APPLIANCE_URL=https://127.0.0.1:1", "CONJUR_ACCOUNT=hostile", "CONJUR_AUTHN_LOGIN=hostile", "CONJUR_AUTHN_API_KEY=hostile",
		"CONJUR_AUTHN_TOKEN=hostile", "CONJUR_AUTHN_TOKEN_FILE=/hostile", "CONJUR_AUTHN_TYPE=ldap", "CONJUR_SERVICE_ID=hostile",
		"CONJUR_AUTHN_JWT_SERVICE_ID=hostile", "CONJUR_AUTHN_JWT_TOKEN=hostile", "JWT_TOKEN_PATH=/hostile", "CONJUR_CERT_FILE=/hostile",
		"CONJUR_SSL_CERTIFICATE=hostile", "CONJUR_NETRC_PATH="+filepath.Join(home, ".netrc"), "CONJUR_HTTP_TIMEOUT=hostile", "APP_VERSION=hostile",
		"http_proxy=http://127.0.0.1:1", "https_proxy=http://127.0.0.1:1")
	said, err := child.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(said), "PASS") {
		t.Errorf("%v: %s", err, said)
	}
	for name, content := range files {
		if now, err := os.ReadFile(filepath.Join(home, name)); err != nil || string(now) != content {
			t.Errorf("%s is now %q (%v)", name, now, err)
		}
	}
}

func TestConjurEnrolled(t *testing.T) {
	fake := vaulttest.FakeConjur(t)
	p := conjurPlace(t, fake)
	held, err := Enroll(t.Context(), p.config, Options{}, NewSecret(fake.Key()))
	if err != nil || held.Reveal() != fake.Key() {
		t.Errorf("Enroll: %v", err)
	}
	held, err = Enroll(t.Context(), p.config, Options{}, NewSecret(canary))
	wantRefusal(t, err, ErrLogin)
	if !held.IsZero() {
		t.Error("a key that does not log in is kept")
	}
}

// TestConjurTokenIsShownNowhere: it is in no error and in no print of the store.
func TestConjurTokenIsShownNowhere(t *testing.T) {
	fake := vaulttest.FakeConjur(t)
	st := conjurPlace(t, fake).open(t)
	_, err := st.Get(t.Context(), "missing")
	s := st.(*kept).asked.(*conjur)
	token := s.held.token.Reveal()
	for _, shown := range []any{err, st, s, s.held, *s.held} {
		text := fmt.Sprintf("%v %+v %#v", shown, shown, shown)
		if strings.Contains(text, token) || strings.Contains(text, strings.TrimPrefix(token, "Token token=")) || strings.Contains(text, fake.Key()) {
			t.Errorf("it shows in %s", text)
		}
	}
}
