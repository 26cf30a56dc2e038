package vault

import (
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

// TestConjurEnrolledForNothing: by a JWT the agent logs in without a credential, so
// none that is given has been proven, nor is kept.
func TestConjurEnrolledForNothing(t *testing.T) {
	fake := vaulttest.FakeConjur(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("a.b.c"), 0o600); err != nil {
		t.Fatal(err)
	}
	fake.Trust("robots", vaulttest.ConjurLogin, "a.b.c")
	p := conjurPlace(t, fake)
	p.config.Login = Login{Method: "jwt", Service: "robots", Username: vaulttest.ConjurLogin, TokenFile: file}
	held, err := Enroll(t.Context(), p.config, Options{}, NewSecret(canary))
	if bad, ok := errors.AsType[*ConfigError](err); !ok || bad.Field != "login.method" || !held.IsZero() {
		t.Errorf("%v", err)
	}
}

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
