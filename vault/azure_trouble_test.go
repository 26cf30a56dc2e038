package vault

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"keytender/vault/vaulttest"
)

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const azurePage = "<html><body>" + vaulttest.ServersText + "</body></html>"

// TestAzureRefusals: what a vault answers instead of a secret, and what we say.
func TestAzureRefusals(t *testing.T) {
	for what, c := range map[string]struct {
		status int
		header map[string]string
		body   string
		code   string // "" stands for body
		inner  string
		kind   error
		says   []string
	}{
		"the firewall":             {status: 403, code: "Forbidden", inner: "ForbiddenByFirewall", kind: ErrDenied, says: []string{"Key Vault's firewall does not let this machine's address in", "Networking"}},
		"no public access":         {status: 403, code: "Forbidden", inner: "ForbiddenByConnection", kind: ErrDenied, says: []string{"firewall", "private endpoint"}},
		"the firewall's page":      {status: 403, body: azurePage, kind: ErrDenied, says: []string{"firewall", "machine", "a page"}},
		"no role":                  {status: 403, code: "Forbidden", inner: "ForbiddenByRbac", kind: ErrDenied, says: []string{"Key Vault Secrets User"}},
		"no policy":                {status: 403, code: "Forbidden", inner: "ForbiddenByPolicy", kind: ErrDenied, says: []string{"access policy", "give it get"}},
		"no policy, as it was":     {status: 403, code: "Forbidden", inner: "AccessDenied", kind: ErrDenied, says: []string{"access policy"}},
		"forbidden":                {status: 403, code: "Forbidden", kind: ErrDenied, says: []string{"Key Vault Secrets User", "right get"}},
		"disabled":                 {status: 403, code: "Forbidden", inner: "SecretDisabled", kind: ErrBroken, says: []string{"disabled"}},
		"missing":                  {status: 404, code: "SecretNotFound", kind: ErrNotFound},
		"missing, says a page":     {status: 404, body: azurePage, kind: ErrUnavailable, says: []string{"no key vault (404)"}},
		"too many questions":       {status: 429, code: "Throttled", kind: ErrUnavailable, says: []string{"429", "in a minute"}},
		"too many, and a time":     {status: 429, header: map[string]string{"Retry-After": "17"}, kind: ErrUnavailable, says: []string{"429", "in 17 seconds"}},
		"too many, and a date":     {status: 429, header: map[string]string{"Retry-After": time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}, kind: ErrUnavailable, says: []string{"in 3"}},
		"too many, and nonsense":   {status: 429, header: map[string]string{"Retry-After": vaulttest.ServersText}, kind: ErrUnavailable, says: []string{"in a minute"}},
		"broken":                   {status: 500, body: azurePage, kind: ErrUnavailable, says: []string{"Key Vault answers 500"}},
		"not there":                {status: 503, code: "ServiceUnavailable", kind: ErrUnavailable, says: []string{"503"}},
		"a bad request":            {status: 400, code: "BadParameter", kind: ErrDenied, says: []string{"400"}},
		"a page":                   {status: 200, header: map[string]string{"Content-Type": "text/html"}, body: azurePage, kind: ErrUnavailable, says: []string{"no key vault (200)"}},
		"half JSON":                {status: 200, body: `{"value":"` + canary, kind: ErrUnavailable, says: []string{"no key vault"}},
		"a value that is no text":  {status: 200, body: `{"value":["` + canary + `"]}`, kind: ErrUnavailable, says: []string{"no key vault"}},
		"no secret in it":          {status: 200, body: `{}`, kind: ErrBroken, says: []string{"is empty"}},
		"too long":                 {status: 200, body: strings.Repeat("x", 2<<20), kind: ErrUnavailable, says: []string{"larger than 1 MiB"}},
		"elsewhere":                {status: 307, header: map[string]string{"Location": "https://" + vaulttest.ServersText + ".example/"}, kind: ErrUnavailable, says: []string{"redirect (307)", "not followed"}},
		"codes that are sentences": {status: 403, body: `{"error":{"code":"a b ` + vaulttest.ServersText + `","innererror":{"code":["x"]}}}`, kind: ErrDenied, says: []string{"firewall"}},
	} {
		t.Run(what, func(t *testing.T) {
			k := vaulttest.FakeKeyVault(t)
			k.Set("bot", canary)
			st := azurePlace(k).open(t)
			fail := func() { k.FailWith(c.status, c.header, c.body) }
			if c.code != "" {
				fail = func() { k.Fail(c.status, c.code, c.inner) }
			}
			fail()
			_, err := st.Get(t.Context(), "bot")
			wantAzure(t, k, err, c.kind, append(c.says, "azure://"+k.Host, "read bot")...)
			sameEntry(t, "bot", get(t, st, "bot"), account("", canary)) // once it is over
		})
	}
}

// TestAzureNamesTheRightThatIsMissing: writing needs another role.
func TestAzureNamesTheRightThatIsMissing(t *testing.T) {
	k := vaulttest.FakeKeyVault(t)
	k.Set("bot", canary)
	st := azurePlace(k).open(t)
	for inner, says := range map[string]string{"ForbiddenByRbac": "Key Vault Secrets Officer", "ForbiddenByPolicy": "give it delete"} {
		k.Fail(403, "Forbidden", inner)
		wantAzure(t, k, st.Delete(t.Context(), "bot"), ErrDenied, "delete bot", says)
	}
	for inner, says := range map[string]string{"ForbiddenByRbac": "Key Vault Secrets Officer", "ForbiddenByPolicy": "give it get and set"} {
		k.Fail(403, "Forbidden", inner)
		wantAzure(t, k, st.Put(t.Context(), "bot", account("", "new")), ErrDenied, "store bot", says)
	}
	sameEntry(t, "bot", get(t, st, "bot"), account("", canary))
}

// TestAzureCheckProvesTheLogin: an agent with rights to some secrets only is in;
// one behind the firewall is not.
func TestAzureCheckProvesTheLogin(t *testing.T) {
	k := vaulttest.FakeKeyVault(t)
	st := azurePlace(k).open(t)
	for _, inner := range []string{"ForbiddenByRbac", "ForbiddenByPolicy", "AccessDenied", "SecretDisabled"} {
		k.Fail(403, "Forbidden", inner)
		if err := st.Check(t.Context()); err != nil {
			t.Errorf("%s: %v", inner, err)
		}
	}
	k.Fail(403, "Forbidden", "ForbiddenByFirewall")
	wantAzure(t, k, st.Check(t.Context()), ErrDenied, "check", "firewall")
	k.FailWith(404, nil, azurePage)
	wantAzure(t, k, st.Check(t.Context()), ErrUnavailable, "check", "no key vault")
}

// TestAzureVaultThatTakesNoToken: a 401 to a token that is new is told, and not
// tried again and again.
func TestAzureVaultThatTakesNoToken(t *testing.T) {
	k := vaulttest.FakeKeyVault(t)
	k.Set("bot", canary)
	p := azurePlace(k)
	challenge := `Bearer authorization="https://login.example/other", resource="https://` + k.Host[strings.Index(k.Host, ".")+1:] + `"`
	k.FailWith(401, map[string]string{"WWW-Authenticate": challenge}, `{"error":{"code":"Unauthorized","message":"AKV10032: `+vaulttest.ServersText+`"}}`)
	k.FailSaying(401, "Unauthorized", "AKV10022: ")
	st := p.open(t)
	for _, says := range []string{"another directory", "does not take the token"} {
		_, err := st.Get(t.Context(), "bot")
		wantAzure(t, k, err, ErrLogin, "log in", says)
	}
	sameEntry(t, "bot", get(t, st, "bot"), account("", canary))
}

// TestAzureLoginHealsByItself: a token that ended, or that the vault no longer
// knows, costs one login and no error.
func TestAzureLoginHealsByItself(t *testing.T) {
	k := vaulttest.FakeKeyVault(t)
	k.Set("bot", canary)
	st := azurePlace(k).open(t)
	read := func() { t.Helper(); st.Forget("bot"); sameEntry(t, "bot", get(t, st, "bot"), account("", canary)) }
	read()
	read()
	if n := k.Entra.Logins(); n != 1 {
		t.Errorf("two reads took %d logins", n)
	}
	k.Entra.Forget()
	read()
	if n := k.Entra.Logins(); n != 2 {
		t.Errorf("a lost login was healed by %d", n-1)
	}
	k.Entra.Forget()
	if err := st.Put(t.Context(), "bot", account("", canary+"2")); err != nil { // its body survives the login
		t.Fatal(err)
	}
	st.Forget("bot")
	sameEntry(t, "bot", get(t, st, "bot"), account("", canary+"2"))
	k.Entra.LiveFor(time.Second)
	k.Entra.Forget()
	st.Forget("bot")
	get(t, st, "bot")
	before := k.Entra.Logins()
	waitFor(t, "the token's end", func() bool { st.Forget("bot"); get(t, st, "bot"); return k.Entra.Logins() > before })
}

// TestAzureCredentialIsAskedForAtEachLogin: who replaces it need not start
// anything anew.
func TestAzureCredentialIsAskedForAtEachLogin(t *testing.T) {
	k := vaulttest.FakeKeyVault(t)
	k.Set("bot", canary)
	p := azurePlace(k)
	held := "wrong"
	p.options.Bootstrap = func(context.Context, string) (Secret, error) { return NewSecret(held), nil }
	st := p.open(t)
	_, err := st.Get(t.Context(), "bot")
	wantAzure(t, k, err, ErrLogin, "AADSTS7000215")
	held = k.Entra.Secret
	get(t, st, "bot")
	held = "rotated-secret"
	k.Entra.Rotate(held)
	k.Entra.Forget()
	st.Forget("bot")
	get(t, st, "bot")
}

func TestAzureThatCannotBeReached(t *testing.T) {
	k := vaulttest.FakeKeyVault(t)
	k.Set("bot", canary)
	t.Run("Entra keeps silent", func(t *testing.T) {
		p := azurePlace(k)
		p.config.Timeout = 200 * time.Millisecond
		st := p.open(t)
		defer k.Entra.Hold(t)()
		_, err := st.Get(t.Context(), "bot")
		wantAzure(t, k, err, ErrUnavailable, "log in", k.Entra.Host+" did not answer within 200ms")
	})
	t.Run("Entra hangs up", func(t *testing.T) {
		defer k.Entra.Cut(t)()
		wantAzure(t, k, azureGet(t, azurePlace(k), "bot"), ErrUnavailable, "log in", k.Entra.Host)
	})
	t.Run("the vault is not trusted", func(t *testing.T) {
		p := azurePlace(k)
		p.config.CA = []string{k.Entra.CAFile}
		wantAzure(t, k, azureGet(t, p, "bot"), ErrUnavailable, "read bot", "authority that this machine does not know", "ca in config.yaml")
	})
	t.Run("Entra is not trusted", func(t *testing.T) {
		p := azurePlace(k)
		p.config.CA = []string{k.CAFile}
		wantAzure(t, k, azureGet(t, p, "bot"), ErrUnavailable, "log in", k.Entra.Host, "authority that this machine does not know")
	})
	t.Run("a file of authorities is missing", func(t *testing.T) {
		p := azurePlace(k)
		p.config.CA = []string{"/none/ca.pem"}
		wantAzure(t, k, azureGet(t, p, "bot"), ErrUnavailable, "/none/ca.pem", "check ca")
	})
	t.Run("nobody is there", func(t *testing.T) {
		p := azurePlace(k)
		p.config.URL = "azure://127.0.0.1:1"
		wantAzure(t, k, azureGet(t, p, "bot"), ErrUnavailable, "nobody answers at 127.0.0.1:1")
	})
	t.Run("the default store is locked", func(t *testing.T) {
		p := azurePlace(k)
		locked := &Error{Store: "keyring:", Op: "read store/corp", Kind: ErrLocked}
		p.options.Bootstrap = func(context.Context, string) (Secret, error) { return Secret{}, locked }
		if err := azureGet(t, p, "bot"); !errors.Is(err, ErrLocked) {
			t.Errorf("got %v", err)
		}
	})
}
