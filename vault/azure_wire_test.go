package vault

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"keytender/vault/vaulttest"
)

// TestAzureChallenges: from what is no vault no login begins.
func TestAzureChallenges(t *testing.T) {
	for what, c := range map[string]struct {
		challenge string
		kind      error
		says      string
	}{
		"none":                       {" ", ErrUnavailable, "no key vault"},
		"another scheme":             {`Basic realm="` + vaulttest.ServersText + `"`, ErrUnavailable, "no key vault"},
		"no resource":                {`Bearer authorization="https://login.example/t"`, ErrUnavailable, "no key vault"},
		"a resource that is no host": {`Bearer authorization="https://login.example/t", resource="vault.azure.net"`, ErrUnavailable, "no key vault"},
		"a resource without TLS":     {`Bearer authorization="https://login.example/t", resource="http://0.0.1"`, ErrUnavailable, "no key vault"},
		"another's resource":         {`Bearer authorization="https://login.example/t", resource="https://vault.azure.net"`, ErrLogin, "meant for another service"},
		"claims before a token":      {`Bearer error="insufficient_claims", claims="e30="`, ErrUnavailable, "no key vault"},
	} {
		t.Run(what, func(t *testing.T) {
			k := vaulttest.FakeKeyVault(t)
			k.Challenge(c.challenge)
			p := azurePlace(k)
			wantAzure(t, k, azureGet(t, p, "bot"), c.kind, "log in", c.says)
			wantAzure(t, k, p.open(t).Put(t.Context(), "bot", account("", canary)), c.kind, c.says)
			if n := k.Entra.Reads(t, ""); n != 0 {
				t.Errorf("Entra was asked %d times", n)
			}
		})
	}
}

// TestAzureChallengesThatPanicked the vendor's client, or would have it ask
// elsewhere, or that name the resource only.
func TestAzureChallengesThatPanicked(t *testing.T) {
	k := vaulttest.FakeKeyVault(t)
	k.Set("bot", canary)
	resource := `resource="https://` + k.Host[strings.Index(k.Host, ".")+1:]
	for _, challenge := range []string{
		"Bearer " + resource + `"`,
		`Bearer authorization="https://login.example", ` + resource + `"`,
		`Bearer authorization="https://login.example/t", authorization=x, ` + resource + `"`,
		`Bearer authorization=x ` + resource + `/path=/?q"`,
	} {
		k.Challenge(challenge)
		sameEntry(t, "bot", get(t, azurePlace(k).open(t), "bot"), account("", canary))
	}
}

// TestAzureClaims: a vault may want a token that proves more (continuous access
// evaluation), and gets it.
func TestAzureClaims(t *testing.T) {
	k := vaulttest.FakeKeyVault(t)
	k.Set("bot", canary)
	st := azurePlace(k).open(t)
	get(t, st, "bot")
	k.FailWith(401, map[string]string{"WWW-Authenticate": `Bearer realm="", authorization_uri="https://login.example/x", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="`}, "")
	st.Forget("bot")
	sameEntry(t, "bot", get(t, st, "bot"), account("", canary))
	if claims := k.Entra.Claims(); !strings.Contains(claims, "access_token") || k.Entra.Logins() != 2 {
		t.Errorf("%d logins, the last with the claims %q", k.Entra.Logins(), claims)
	}
}

func FuzzAzureChallenge(f *testing.F) {
	for _, seed := range []string{`Bearer authorization="https://a/t", resource="https://vault.azure.net"`, `Bearer resource="https://vault.azure.net:x"`, `x="`, `Bearer error="insufficient_claims", claims="e30="`} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, challenge string, passed bool) {
		at := &url.URL{Scheme: "https", Host: "contoso.vault.azure.net"}
		answer := &http.Response{Header: http.Header{"Www-Authenticate": {challenge}}, Request: &http.Request{URL: at}}
		err := (&wire{}).challenged(answer, passed)
		said := answer.Header.Get("WWW-Authenticate")
		ours := regexp.MustCompile(`^Bearer (authorization="https://entra/configured", resource="https://(vault\.)?(azure\.)?net"|error="insufficient_claims", claims="[A-Za-z0-9+/=]+")$`)
		if err != nil && said != "" || said != "" && !ours.MatchString(said) {
			t.Errorf("%q becomes %q, %v", challenge, said, err)
		}
	})
}

func TestAzureCodes(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":{"code":"Forbidden","message":"x","innererror":{"code":"ForbiddenByRbac"}}}`: "[Forbidden ForbiddenByRbac]",
		`{"error":{"code":"Forbidden","innerError":{"code":"A","innererror":{"code":"B"}}}}`:   "[Forbidden A B]",
		`{"error":{"code":"Unauthorized","message":"AKV10032: Invalid issuer"}}`:               "[Unauthorized AKV10032]",
		`{"error":"invalid_client","error_codes":[7000215,50126]}`:                             "[invalid_client AADSTS7000215 AADSTS50126]",
		`{"error":{"code":"two words"}}`:                                                       "[]",
		`{"error":7}`:                                                                          "[]",
		`{}`:                                                                                   "[]",
		`[]`:                                                                                   "[]",
		``:                                                                                     "[]",
		`<html>`:                                                                               "[]",
	} {
		if got := fmt.Sprint(codesOf([]byte(body))); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}

func FuzzAzureCodes(f *testing.F) {
	for _, seed := range []string{`{"error":{"code":"A","innererror":{"code":"B"}}}`, `{"error":"x","error_codes":[1]}`, `{"error":{"innererror":null}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, code := range codesOf(body) {
			if !azureCode.MatchString(strings.TrimPrefix(strings.TrimPrefix(code, "AADSTS"), "-")) {
				t.Errorf("%q is taken for a code", code)
			}
		}
	})
}

// TestAzureErrorsHaveNoBody: what a server says about an error does not reach
// the vendor's clients, whose errors quote it.
func TestAzureErrorsHaveNoBody(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, vaulttest.ServersText, http.StatusBadRequest)
	}))
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&wire{client: server.Client()}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || len(body) != 0 || answer.StatusCode != http.StatusBadRequest {
		t.Errorf("%d, %q, %v", answer.StatusCode, body, err)
	}
}
