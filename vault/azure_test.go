package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"keytender/vault/vaulttest"
)

// azurePlace is a fake vault, logged in to with the application's secret.
func azurePlace(k *vaulttest.KeyVault) place {
	return place{
		config: Config{
			URL: "azure://" + k.Host, CA: k.CAFiles(), Write: true,
			Login: Login{Method: "client_secret", Tenant: k.Entra.Tenant, ClientID: k.Entra.ClientID, Authority: k.Entra.Authority()},
		},
		options: Options{Bootstrap: azureHeld(k.Entra.Secret), UserAgent: "keytender/test"},
		names:   []string{"Suite-Inside-2", "0", "-", strings.Repeat("n", 127)},
		server:  k,
	}
}

func azureHeld(credential string) func(context.Context, string) (Secret, error) {
	return func(context.Context, string) (Secret, error) { return NewSecret(credential), nil }
}

func azureFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func azureGet(t *testing.T, p place, name string) error {
	t.Helper()
	_, err := p.open(t).Get(t.Context(), name)
	return err
}

// wantAzure is wantError for what the fakes refuse: nothing of their texts shows,
// no token and no credential.
func wantAzure(t *testing.T, k *vaulttest.KeyVault, err, kind error, words ...string) {
	t.Helper()
	wantError(t, err, kind, words...)
	for _, secret := range append(k.Entra.Tokens(), vaulttest.ServersText, k.Entra.Secret, "token-of-entra", "PRIVATE KEY-----", "header-of-app-service") {
		if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), secret) {
			t.Errorf("the error repeats what it must not: %v", err)
		}
	}
}

func TestAzureIsAStore(t *testing.T) { testStore(t, azurePlace(vaulttest.FakeKeyVault(t))) }

func TestAzureReadOnlyIsAStore(t *testing.T) {
	k := vaulttest.FakeKeyVault(t)
	p := azurePlace(k)
	p.config.Write = false
	p.write = func(_ *testing.T, name string, e Entry) {
		if e.Username == "" {
			k.Set(name, e.Secret.Reveal())
			return
		}
		k.Set(name, asJSON(t, map[string]string{"Username": e.Username, "Password": e.Secret.Reveal()}))
	}
	testStore(t, p)
}

func TestAzureConfig(t *testing.T) {
	good := Config{URL: "azure://contoso", Login: Login{Method: "client_secret", Tenant: "7d5f", ClientID: "3c1e"}}
	for what, c := range map[string]struct {
		change func(*Config)
		field  string
		says   string
	}{
		"a path":                   {func(c *Config) { c.URL += "/secrets" }, "url", "no path"},
		"a password":               {func(c *Config) { c.URL = "azure://me:" + canary + "@contoso" }, "url", "user or password"},
		"no vault":                 {func(c *Config) { c.URL = "azure://" }, "url", "host is missing"},
		"a query":                  {func(c *Config) { c.URL += "?x=" + canary }, "url", "no part of it"},
		"no method":                {func(c *Config) { c.Login.Method = "" }, "login.method", "workload_identity"},
		"another's method":         {func(c *Config) { c.Login.Method = "approle" }, "login.method", "client_secret"},
		"no tenant":                {func(c *Config) { c.Login.Tenant = "" }, "login.tenant", "missing"},
		"no client id":             {func(c *Config) { c.Login.ClientID = "" }, "login.client_id", "missing"},
		"no token file":            {func(c *Config) { c.Login.Method = "workload_identity" }, "login.token_file", "missing"},
		"a relative token file":    {func(c *Config) { c.Login.Method, c.Login.TokenFile = "workload_identity", "t" }, "login.token_file", "absolute"},
		"a relative certificate":   {func(c *Config) { c.Login.Method, c.Login.Certificate = "client_certificate", "c" }, "login.certificate", "absolute"},
		"certificate and secret":   {func(c *Config) { c.Login.Certificate = "/c.pem" }, "login.certificate", "no such setting"},
		"a managed tenant":         {func(c *Config) { c.Login.Method, c.Login.ClientID = "managed_identity", "" }, "login.tenant", "no such setting"},
		"a tenant that is a path":  {func(c *Config) { c.Login.Tenant = "x/../y" }, "login.tenant", "directory id"},
		"a tenant that is an URL":  {func(c *Config) { c.Login.Tenant = "https://login" }, "login.tenant", "directory id"},
		"a plain authority":        {func(c *Config) { c.Login.Authority = "http://127.0.0.1:80" }, "login.authority", "https://"},
		"an authority that leaves": {func(c *Config) { c.Login.Authority = "http://login.example" }, "login.authority", "without TLS"},
		"an authority with a path": {func(c *Config) { c.Login.Authority = "https://login.example/x" }, "login.authority", "host alone"},
		"another's key":            {func(c *Config) { c.Namespace = "x" }, "namespace", "no such setting"},
		"fields that are one":      {func(c *Config) { c.Fields.Username = "Password" }, "fields", "cannot both be"},
		"much time":                {func(c *Config) { c.Timeout = time.Hour }, "timeout", "at most 1m"},
	} {
		bad := good
		c.change(&bad)
		st, err := Open(bad, Options{})
		wrong, ok := errors.AsType[*ConfigError](err)
		if st != nil || !ok || wrong.Field != c.field || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v, want %s: …%s…", what, err, c.field, c.says)
		}
	}
	for url, origin := range map[string]string{
		"azure://contoso":                 "https://contoso.vault.azure.net",
		"azure://contoso/":                "https://contoso.vault.azure.net",
		"azure://contoso.vault.azure.cn":  "https://contoso.vault.azure.cn",
		"azure://vault.corp.example:8443": "https://vault.corp.example:8443",
	} {
		good.URL = url
		st, err := Open(good, Options{})
		if err != nil || st.String() != url {
			t.Errorf("%s: %v, %v", url, st, err)
			continue
		}
		if got, err := good.Origin(); err != nil || got != origin {
			t.Errorf("%s goes to %s, %v", url, got, err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAzureNames(t *testing.T) {
	c := Config{URL: "azure://contoso"}
	for _, name := range []string{"a", "Invoices-2", "-", strings.Repeat("n", 127)} {
		if err := c.CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "a/b", "a_b", "a.b", "a b", "é", "a\n", strings.Repeat("n", 128), "..", "%61"} {
		if err := c.CheckName(name); err == nil {
			t.Errorf("%q is taken for a name", name)
		}
	}
}

func TestAzureLayouts(t *testing.T) {
	credential := Fields{}
	custom := Fields{Username: "id", Secret: "key"}
	for what, c := range map[string]struct {
		fields Fields
		value  string
		want   Entry
		says   string // of an entry that cannot be used
	}{
		"one text":                    {credential, canary, account("", canary), ""},
		"a credential":                {credential, `{"Username":"id","Password":"` + canary + `"}`, account("id", canary), ""},
		"a credential and more":       {credential, `{"Password":"` + canary + `","Username":"id","Note":["x"]}`, account("id", canary), ""},
		"other JSON":                  {credential, `{"Password":"x"}`, account("", `{"Password":"x"}`), ""},
		"JSON that is no object":      {credential, `["Username","Password"]`, account("", `["Username","Password"]`), ""},
		"JSON and a rest":             {credential, `{"Username":"a","Password":"b"} c`, account("", `{"Username":"a","Password":"b"} c`), ""},
		"an empty password":           {credential, `{"Username":"id","Password":""}`, Entry{}, `"Password" is empty`},
		"nothing":                     {credential, "", Entry{}, "is empty"},
		"custom fields":               {custom, `{"id":"me","key":"` + canary + `","Password":"no"}`, account("me", canary), ""},
		"custom fields, no user name": {custom, `{"key":"` + canary + `"}`, account("", canary), ""},
		"custom fields, another one":  {custom, `{"Key":"` + canary + `","x":"` + canary + `"}`, Entry{}, `no field "key"; it has "Key", "x"`},
		"custom fields, no JSON":      {custom, canary, Entry{}, "no JSON object"},
		"custom fields, no text":      {custom, `{"key":7}`, Entry{}, `"key" is not text`},
	} {
		t.Run(what, func(t *testing.T) {
			k := vaulttest.FakeKeyVault(t)
			k.Set("bot", c.value)
			p := azurePlace(k)
			p.config.Fields = c.fields
			if c.says != "" {
				wantAzure(t, k, azureGet(t, p, "bot"), ErrBroken, "read bot", c.says)
				return
			}
			sameEntry(t, "bot", get(t, p.open(t), "bot"), c.want)
		})
	}
}

func TestAzureKeepsWhatIsThere(t *testing.T) {
	for what, c := range map[string]struct {
		fields Fields
		was    string
		put    Entry
		want   string
	}{
		"nothing, a secret":               {Fields{}, "", account("", "new"), "new"},
		"nothing, a credential":           {Fields{}, "", account("id", "n<e>&w"), `{"Password":"n<e>&w","Username":"id"}`},
		"a text":                          {Fields{}, "old", account("", "new"), "new"},
		"a text, now a credential":        {Fields{}, "old", account("id", "new"), `{"Password":"new","Username":"id"}`},
		"a credential":                    {Fields{}, `{"Username":"was","Password":"old","n":12345678901234567890}`, account("id", "new"), `{"Password":"new","Username":"id","n":12345678901234567890}`},
		"other JSON":                      {Fields{}, `{"Password":"old"}`, account("", "new"), "new"},
		"a secret that looks like one":    {Fields{}, "old", account("", `{"Username":"a","Password":"b"}`), `{"Password":"{\"Username\":\"a\",\"Password\":\"b\"}","Username":""}`},
		"custom fields":                   {Fields{"id", "key"}, `{"key":"old","other":"x"}`, account("me", "new"), `{"id":"me","key":"new","other":"x"}`},
		"custom fields, no user name":     {Fields{"id", "key"}, `{"key":"old","other":"x"}`, account("", "new"), `{"key":"new","other":"x"}`},
		"custom fields, where no JSON is": {Fields{"id", "key"}, "old", account("", "new"), `{"key":"new"}`},
	} {
		t.Run(what, func(t *testing.T) {
			k := vaulttest.FakeKeyVault(t)
			if c.was != "" {
				k.SetAs("bot", azsecrets.Secret{Value: &c.was, ContentType: new("kind"), Tags: map[string]*string{"owner": new("finance")}})
			}
			p := azurePlace(k)
			p.config.Fields = c.fields
			st := p.open(t)
			if err := st.Put(t.Context(), "bot", c.put); err != nil {
				t.Fatal(err)
			}
			now := k.Newest("bot")
			if *now.Value != c.want {
				t.Errorf("written: %s, want %s", *now.Value, c.want)
			}
			kind := orZero(now.ContentType)
			switch {
			case c.was != "" && (kind != "kind" || orZero(now.Tags["owner"]) != "finance"):
				t.Errorf("content type %q, tags %v", kind, slices.Collect(maps.Keys(now.Tags)))
			case c.was == "" && kind != map[bool]string{true: "application/json"}[c.put.Username != ""]:
				t.Errorf("content type %q", kind)
			}
			sameEntry(t, "bot", get(t, p.open(t), "bot"), c.put)
		})
	}
}

func TestAzureAttributes(t *testing.T) {
	k := vaulttest.FakeKeyVault(t)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *time.Time { return new(now.Add(d)) }
	for name, c := range map[string]struct {
		attributes azsecrets.SecretAttributes
		says       string
		lease      time.Duration
	}{
		"plain":    {azsecrets.SecretAttributes{Created: at(-time.Hour), Updated: at(-time.Minute)}, "", 0},
		"updated":  {azsecrets.SecretAttributes{Created: at(-time.Hour), NotBefore: at(0), Expires: at(time.Hour)}, "", time.Hour},
		"early":    {azsecrets.SecretAttributes{NotBefore: at(time.Second)}, "not valid before 21 November 2026 12:00 UTC", 0},
		"expired":  {azsecrets.SecretAttributes{Expires: at(0)}, "expired on 21 November 2026 12:00 UTC", 0},
		"disabled": {azsecrets.SecretAttributes{Enabled: new(false)}, "disabled", 0},
	} {
		k.SetAs(name, azsecrets.Secret{Value: new(canary), Attributes: &c.attributes})
		p := azurePlace(k)
		p.options.Now = func() time.Time { return now }
		if c.says != "" {
			wantAzure(t, k, azureGet(t, p, name), ErrBroken, "read "+name, c.says)
		} else if e := get(t, p.open(t), name); !e.Changed.Equal(now.Add(-time.Hour)) || e.Lease != c.lease {
			t.Errorf("%s: changed %s, lease %s", name, e.Changed, e.Lease)
		}
		if err := p.open(t).Put(t.Context(), name, account("", canary+"2")); err != nil {
			t.Errorf("Put over what is %s: %v", name, err)
			continue
		}
		p.options.Now = nil
		sameEntry(t, name, get(t, p.open(t), name), account("", canary+"2"))
	}
}

// TestAzureTrash: a deleted secret keeps its name until it is purged.
func TestAzureTrash(t *testing.T) {
	k := vaulttest.FakeKeyVault(t)
	st := azurePlace(k).open(t)
	k.Set("bot", canary)
	for range 2 {
		if err := st.Delete(t.Context(), "bot"); err != nil {
			t.Fatal(err)
		}
	}
	wantAzure(t, k, st.Put(t.Context(), "bot", account("", canary)), ErrDenied, "store bot", "trash", "recover", "purge")
	k.Fail(409, "Conflict", "ObjectIsBeingDeleted")
	if err := st.Delete(t.Context(), "bot"); err != nil {
		t.Errorf("Delete of what is being deleted: %v", err)
	}
	k.Fail(409, "Conflict", "ObjectIsBeingRecovered")
	wantAzure(t, k, st.Delete(t.Context(), "bot"), ErrBusy, "at work on that secret")
	k.FailWith(404, nil, "<html>"+vaulttest.ServersText+"</html>")
	wantAzure(t, k, st.Delete(t.Context(), "bot"), ErrUnavailable, "no key vault (404)")
}

func TestAzureTakesNoMoreThanItHolds(t *testing.T) {
	k := vaulttest.FakeKeyVault(t)
	st := azurePlace(k).open(t)
	err := st.Put(t.Context(), "large", account("", strings.Repeat(canary, 25<<10/len(canary)+1)))
	if err == nil || !strings.Contains(err.Error(), "at most 25600") || strings.Contains(err.Error(), canary) || k.Newest("large").ID != nil {
		t.Errorf("Put of too much: %.200v", err)
	}
	if err := st.Put(t.Context(), "large", account("", strings.Repeat("x", 25<<10))); err != nil {
		t.Errorf("Put of just enough: %v", err)
	}
}
