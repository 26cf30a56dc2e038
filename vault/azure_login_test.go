package vault

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"keytender/vault/vaulttest"
)

// azureWith is a fake vault with one entry, and a place that logs in to it by
// another method than the secret.
func azureWith(t *testing.T, l Login) (*vaulttest.KeyVault, place) {
	t.Helper()
	k := vaulttest.FakeKeyVault(t)
	k.Set("bot", canary)
	p := azurePlace(k)
	if l.Method != "managed_identity" {
		l.Tenant, l.ClientID, l.Authority = k.Entra.Tenant, k.Entra.ClientID, k.Entra.Authority()
	}
	p.config.Login = l
	p.options.Bootstrap = func(context.Context, string) (Secret, error) {
		t.Error("a credential is asked for, and none is needed")
		return Secret{}, ErrNotFound
	}
	return k, p
}

func wantAzureLogin(t *testing.T, p place) {
	t.Helper()
	st := p.open(t)
	if err := st.Check(t.Context()); err != nil {
		t.Fatalf("Check: %v", err)
	}
	sameEntry(t, "bot", get(t, st, "bot"), account("", canary))
}

func TestAzureByCertificate(t *testing.T) {
	k, p := azureWith(t, Login{Method: "client_certificate"})
	good, other := k.Entra.Certificate(t, vaulttest.Of{RSA: 2048}), k.Entra.Certificate(t, vaulttest.Of{RSA: 2048})
	for what, held := range map[string]struct{ credential, file string }{
		"the chain in a file":       {good.Key, good.Chain},
		"the chain behind the key":  {good.Key + good.Chain, ""},
		"the chain before the key":  {good.Chain + good.Key, ""},
		"others stand in the chain": {good.Key, other.Chain + good.Chain},
	} {
		t.Run(what, func(t *testing.T) {
			p := p
			if held.file != "" {
				p.config.Login.Certificate = azureFile(t, held.file)
			}
			p.options.Bootstrap = azureHeld(held.credential)
			wantAzureLogin(t, p)
		})
	}
}

// TestAzureCertificateThatWillNotDo: each has its own sentence.
func TestAzureCertificateThatWillNotDo(t *testing.T) {
	k, p := azureWith(t, Login{Method: "client_certificate"})
	good, other := k.Entra.Certificate(t, vaulttest.Of{RSA: 2048}), k.Entra.Certificate(t, vaulttest.Of{RSA: 2048})
	stranger, curve := k.Entra.Stranger(t, vaulttest.Of{RSA: 2048}), k.Entra.Stranger(t, vaulttest.Of{})
	ended := k.Entra.Certificate(t, vaulttest.Of{RSA: 2048, Until: time.Date(2024, 3, 9, 12, 0, 0, 0, time.UTC)})
	for what, c := range map[string]struct{ credential, file, says string }{
		"another's certificate":    {good.Key, other.Chain, "does not fit its key"},
		"no certificate":           {good.Key, "", "no certificate in PEM form"},
		"no key":                   {good.Chain, good.Chain, "no private key in PEM form"},
		"no PEM":                   {canary, good.Chain, "no private key in PEM form"},
		"ended":                    {ended.Key, ended.Chain, "ended on 9 March 2024"},
		"no RSA":                   {curve.Key, curve.Chain, "not RSA"},
		"unknown to the directory": {stranger.Key, stranger.Chain, "AADSTS700027"},
	} {
		t.Run(what, func(t *testing.T) {
			p := p
			if c.file != "" {
				p.config.Login.Certificate = azureFile(t, c.file)
			}
			p.options.Bootstrap = azureHeld(c.credential)
			wantAzure(t, k, p.open(t).Check(t.Context()), ErrLogin, "log in", c.says)
			wantAzure(t, k, azureGet(t, p, "bot"), ErrLogin, "log in", c.says)
		})
	}
	t.Run("file missing", func(t *testing.T) {
		p := p
		p.config.Login.Certificate = filepath.Join(t.TempDir(), "none.pem")
		p.options.Bootstrap = azureHeld(good.Key)
		wantAzure(t, k, azureGet(t, p, "bot"), ErrLogin, "none.pem", "login.certificate")
	})
}

func TestAzureByWorkloadIdentity(t *testing.T) {
	k, p := azureWith(t, Login{Method: "workload_identity"})
	k.Entra.Federate("token-of-kubernetes")
	p.config.Login.TokenFile = azureFile(t, "token-of-kubernetes\n")
	wantAzureLogin(t, p)
	st := p.open(t)
	for what, c := range map[string]struct {
		text string
		says string
	}{
		"another's token": {"e30.e30.e30", "AADSTS700213"},
		"nothing":         {"\n", "holds no token"},
		"very much":       {strings.Repeat("x", 65<<10), "holds no token"},
		"no file":         {"", "cannot be read"},
	} {
		if err := os.Remove(p.config.Login.TokenFile); err != nil {
			t.Fatal(err)
		}
		if c.text != "" {
			if err := os.WriteFile(p.config.Login.TokenFile, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := st.Get(t.Context(), "bot")
		wantAzure(t, k, err, ErrLogin, "log in", c.says)
		if strings.Contains(err.Error(), "e30") {
			t.Errorf("%s: the error shows the token: %v", what, err)
		}
		if err := os.WriteFile(p.config.Login.TokenFile, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Its owner replaces it: the next login has the new one.
	k.Entra.Federate("token-two")
	if err := os.WriteFile(p.config.Login.TokenFile, []byte("token-two"), 0o600); err != nil {
		t.Fatal(err)
	}
	sameEntry(t, "bot", get(t, st, "bot"), account("", canary))
}

// TestAzureByManagedIdentity: as App Service, Container Apps and the like give
// it, on the loopback interface.
func TestAzureByManagedIdentity(t *testing.T) {
	azureMachine(t)
	k, p := azureWith(t, Login{Method: "managed_identity"})
	endpoint, header := k.Entra.AppService(t)
	t.Setenv("IDENTITY_ENDPOINT", endpoint)
	t.Setenv("IDENTITY_HEADER", header)
	wantAzureLogin(t, p)
	t.Run("assigned by a user", func(t *testing.T) {
		p := p
		p.config.Login.ClientID = k.Entra.ClientID
		wantAzureLogin(t, p)
		asked := k.Entra.MachineAsked()
		if last := asked[len(asked)-1]; !strings.Contains(last, "client_id="+k.Entra.ClientID) {
			t.Errorf("asked: %s", last)
		}
		p.config.Login.ClientID = "nobody"
		wantAzure(t, k, azureGet(t, p, "bot"), ErrLogin, "log in", "no such identity", "(400)", "login.client_id")
	})
	t.Run("a token that is lost", func(t *testing.T) { // the library's memory would give it again
		st := p.open(t)
		get(t, st, "bot")
		k.Entra.Forget()
		st.Forget("bot")
		sameEntry(t, "bot", get(t, st, "bot"), account("", canary))
	})
	t.Run("another program's header", func(t *testing.T) {
		t.Setenv("IDENTITY_HEADER", "wrong")
		wantAzure(t, k, azureGet(t, p, "bot"), ErrLogin, "no such identity")
	})
	for status, kind := range map[int]error{403: ErrLogin, 404: ErrUnavailable, 429: ErrUnavailable, 500: ErrUnavailable} {
		k.Entra.FailMachine(status, nil, azurePage)
		wantAzure(t, k, azureGet(t, p, "bot"), kind, "log in", "identity")
	}
	k.Entra.FailMachine(200, nil, azurePage)
	wantAzure(t, k, azureGet(t, p, "bot"), ErrUnavailable, "is not the machine's identity endpoint (200)")
	t.Run("sent elsewhere", func(t *testing.T) {
		k.Entra.FailMachine(307, map[string]string{"Location": "http://192.0.2.1/"}, "")
		wantAzure(t, k, azureGet(t, p, "bot"), ErrUnavailable, "redirect (307)", "not followed")
	})
	t.Run("Azure Arc, whose key the agent may not read", func(t *testing.T) {
		t.Setenv("IDENTITY_HEADER", "")
		t.Setenv("IMDS_ENDPOINT", endpoint)
		k.Entra.FailMachine(401, map[string]string{"WWW-Authenticate": "Basic realm=/var/opt/azcmagent/tokens/none.key"}, "")
		wantAzure(t, k, azureGet(t, p, "bot"), ErrLogin, "may not use it (401)", "himds")
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token")
		wantAzure(t, k, azureGet(t, p, "bot"), ErrUnavailable, "nobody answers at 127.0.0.1:1", "Azure Arc")
	})
	t.Run("an endpoint elsewhere", func(t *testing.T) { // the header would leave the machine in plain text
		t.Setenv("IDENTITY_ENDPOINT", "http://192.0.2.1/msi/token")
		wantAzure(t, k, azureGet(t, p, "bot"), ErrUnavailable, "refused to send to 192.0.2.1 without TLS")
	})
	t.Run("a kind that is not supported", func(t *testing.T) {
		t.Setenv("IDENTITY_SERVER_THUMBPRINT", "0123")
		wantAzure(t, k, azureGet(t, p, "bot"), ErrLogin, "cannot be used")
	})
}

// azureMachine takes away what would make this machine one in Azure.
func azureMachine(t *testing.T) {
	t.Helper()
	for _, name := range []string{"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "MSI_ENDPOINT", "MSI_SECRET", "IMDS_ENDPOINT"} {
		t.Setenv(name, "")
	}
}

// TestAzureLoginRefusals: what Entra answers, and what we say.
func TestAzureLoginRefusals(t *testing.T) {
	k, _ := azureWith(t, Login{Method: "client_secret"})
	p := azurePlace(k)
	for what, c := range map[string]struct {
		change func(*place)
		says   []string
	}{
		"a wrong secret":       {func(p *place) { p.options.Bootstrap = azureHeld(canary) }, []string{"AADSTS7000215", "client secret is wrong", "secret set store/NAME"}},
		"an unknown app":       {func(p *place) { p.config.Login.ClientID = "nobody" }, []string{"AADSTS700016", "login.client_id"}},
		"an unknown directory": {func(p *place) { p.config.Login.Tenant = "nobody.example" }, []string{"AADSTS90002", "no such directory", "login.tenant"}},
		"no credential":        {func(p *place) { p.options.Bootstrap = nil }, []string{"no credential", "secret set store/NAME"}},
		"none that was given": {func(p *place) {
			p.options.Bootstrap = func(context.Context, string) (Secret, error) { return Secret{}, ErrNotFound }
		}, []string{"no credential"}},
	} {
		t.Run(what, func(t *testing.T) {
			p := p
			c.change(&p)
			for _, err := range []error{azureGet(t, p, "bot"), p.open(t).Check(t.Context()), p.open(t).Put(t.Context(), "bot", account("", canary))} {
				wantAzure(t, k, err, ErrLogin, append(c.says, "azure://"+k.Host, "log in")...)
			}
		})
	}
	for code, says := range map[int]string{7000222: "expired", 7000112: "disabled", 700024: "clock", 700213: "subject", 53003: "conditional access", 50126: "refuses the login (401, AADSTS50126)"} {
		k.Entra.Fail(401, code)
		wantAzure(t, k, azureGet(t, p, "bot"), ErrLogin, "log in", says)
	}
	for what, c := range map[string]struct {
		status int
		header map[string]string
		body   string
		says   string
	}{
		"too many logins":      {429, map[string]string{"Retry-After": "9"}, "{}", "in 9 seconds"},
		"broken":               {500, nil, azurePage, "Entra answers 500"},
		"away":                 {503, nil, `{"error":"temporarily_unavailable"}`, "Entra answers 503"},
		"a page":               {403, nil, azurePage, "is not Entra (403)"},
		"a page that is fine":  {200, nil, azurePage, "is not Entra (200)"},
		"no token":             {200, nil, `{"token_type":"Bearer","expires_in":3600}`, "is not Entra (200)"},
		"a token that is none": {200, nil, `{"access_token":7,"expires_in":3600}`, "is not Entra (200)"},
		"a redirect":           {302, map[string]string{"Location": "https://login.example/"}, "", "redirect (302)"},
	} {
		t.Run(what, func(t *testing.T) {
			k.Entra.FailWith(c.status, c.header, c.body)
			wantAzure(t, k, azureGet(t, p, "bot"), ErrUnavailable, "log in", c.says)
		})
	}
	sameEntry(t, "bot", get(t, p.open(t), "bot"), account("", canary))
}

// TestAzureSecretGoesToTheAuthorityAlone, whatever its discovery document says.
func TestAzureSecretGoesToTheAuthorityAlone(t *testing.T) {
	k, _ := azureWith(t, Login{Method: "client_secret"})
	other := vaulttest.FakeKeyVault(t)
	p := azurePlace(k)
	p.config.CA = append(p.config.CA, other.CAFiles()...)
	k.Entra.TokensAt(other.Entra.Authority() + "/" + other.Entra.Tenant + "/oauth2/v2.0/token")
	wantAzure(t, k, azureGet(t, p, "bot"), ErrLogin, "log in", "to another server", "login.authority")
	if n := other.Entra.Reads(t, ""); n != 0 {
		t.Errorf("the other server was asked %d times", n)
	}
}

// TestAzureByTheDirectorysDomain, though the vault's challenge has its id.
func TestAzureByTheDirectorysDomain(t *testing.T) {
	k, _ := azureWith(t, Login{Method: "client_secret"})
	p := azurePlace(k)
	p.config.Login.Tenant = k.Entra.Domain
	wantAzureLogin(t, p)
}

// TestAzureTenantIsTheConfiguredOne: a vault that names another directory does
// not have the agent log in there.
func TestAzureTenantIsTheConfiguredOne(t *testing.T) {
	k, _ := azureWith(t, Login{Method: "client_secret"})
	k.Challenge(`Bearer authorization="https://login.example/another-directory", resource="https://` + k.Host[strings.Index(k.Host, ".")+1:] + `"`)
	sameEntry(t, "bot", get(t, azurePlace(k).open(t), "bot"), account("", canary))
	for _, asked := range k.Entra.Asked() {
		if strings.Contains(asked, "another-directory") {
			t.Errorf("Entra was asked: %s", asked)
		}
	}
}

func TestAzureIsToldOurName(t *testing.T) {
	k, _ := azureWith(t, Login{Method: "client_secret"})
	get(t, azurePlace(k).open(t), "bot")
	if agents := k.UserAgents(); !slices.Equal(agents, []string{"keytender/test"}) {
		t.Errorf("the vault was asked by %q", agents)
	}
}

func TestAzureEnroll(t *testing.T) {
	k, _ := azureWith(t, Login{Method: "client_secret"})
	p := azurePlace(k)
	held, err := Enroll(t.Context(), p.config, p.options, NewSecret(k.Entra.Secret))
	if err != nil || held.Reveal() != k.Entra.Secret {
		t.Errorf("Enroll: %v", err)
	}
	held, err = Enroll(t.Context(), p.config, p.options, NewSecret(canary))
	wantAzure(t, k, err, ErrLogin, "AADSTS7000215")
	if !held.IsZero() {
		t.Error("a credential that does not log in is kept")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Enroll(ended, p.config, p.options, NewSecret(k.Entra.Secret)); !errors.Is(err, context.Canceled) {
		t.Errorf("Enroll in a context that ended: %v", err)
	}
}
