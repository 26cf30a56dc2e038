package agent

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/providertest"
)

// robotOf is the pairing of the robot that a real Identity Server knows.
func robotOf(s *providertest.Server) api.Pairing {
	p := api.Pairing{Name: "invoices", Kind: "robot", URL: s.Orchestrator, ClientID: s.ClientID, Secret: s.Secret}
	if s.Orchestrator == "" {
		p.Kind, p.Identity, p.Scopes = "app", s.Issuer, s.Scopes[:1]
	}
	return p
}

// providers are the Identity Servers of others that pairing is tried with.
func providers(t *testing.T, try func(*testing.T, *providertest.Server)) {
	t.Run("oidc-provider", func(t *testing.T) { try(t, providertest.OIDCProvider(t, providertest.Options{})) })
	t.Run("glewlwyd", func(t *testing.T) { try(t, providertest.Glewlwyd(t)) })
	t.Run("fosite", func(t *testing.T) { try(t, providertest.Fosite(t)) })
}

func TestPairThenTokens(t *testing.T) {
	providers(t, func(t *testing.T, s *providertest.Server) {
		r := start(t, "")
		result, steps, err := r.pairing(t, robotOf(s))
		if err != nil {
			t.Fatal(err)
		}
		if len(steps) != pairingSteps || !strings.Contains(steps[2].Text, result.TokenEndpoint) {
			t.Errorf("the steps do not tell where the secret goes: %v", steps)
		}
		if listed := len(result.Warnings) == 0; listed != strings.HasPrefix(steps[2].Text, "client credentials confirmed") {
			t.Errorf("step 3 says %q, with the warnings %q", steps[2].Text, result.Warnings)
		}
		if !result.Changed || result.Issuer != s.Issuer || result.ResolvedBy == "" {
			t.Errorf("got %+v", result)
		}
		first, err := r.Token(t.Context(), api.TokenRequest{Profile: "invoices"})
		if err != nil {
			t.Fatal(err)
		}
		again, err := r.Token(t.Context(), api.TokenRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if first.AccessToken == "" || first.AccessToken != again.AccessToken {
			t.Error("the second token is not the cached first")
		}
		if left := time.Until(first.ExpiresAt); left < 50*time.Minute || left > time.Hour {
			t.Errorf("the token is valid for %s, not for the hour that the server gives", left)
		}
		r.holdsNo(t, []string{s.Secret, first.AccessToken}, result, steps)
	})
}

func TestTokenOpensTheResource(t *testing.T) {
	s := providertest.OIDCProvider(t, providertest.Options{})
	r := start(t, "")
	r.mustPair(t, robotOf(s))
	token, err := r.Token(t.Context(), api.TokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for bearer, want := range map[string]int{token.AccessToken: http.StatusOK, token.AccessToken + "x": http.StatusUnauthorized} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Orchestrator+"/odata/Folders?$top=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+bearer)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("Orchestrator answers %d, want %d", answer.StatusCode, want)
		}
	}
}

func TestPairingRefusedLeavesNothing(t *testing.T) {
	cases := map[string]struct {
		spoil func(*api.Pairing, *providertest.Server)
		codes []string // Identity's, "" where it gives none
	}{
		"wrong secret":   {func(p *api.Pairing, _ *providertest.Server) { p.Secret = "wrong-canary-7c1" }, []string{"invalid_client", ""}},
		"unknown client": {func(p *api.Pairing, _ *providertest.Server) { p.ClientID = "nobody" }, []string{"invalid_client", ""}},
		"refused scope":  {func(p *api.Pairing, s *providertest.Server) { p.Scopes = []string{s.Refused} }, []string{"invalid_scope", "scope_invalid"}},
	}
	providers(t, func(t *testing.T, s *providertest.Server) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				r := start(t, "")
				p := robotOf(s)
				c.spoil(&p, s)
				_, steps, err := r.pairing(t, p)
				e, ok := err.(*api.Error)
				if !ok || e.Code != api.ProviderRefused && e.Code != api.InvalidScope || e.Hint == "" {
					t.Fatalf("got %v", err)
				}
				if !slices.Contains(c.codes, e.ProviderError) {
					t.Errorf("Identity's code is %q, want one of %q", e.ProviderError, c.codes)
				}
				if n := r.entries(t); n != 0 {
					t.Errorf("%d entries are left in the store", n)
				}
				if list, err := r.Profiles(t.Context()); err != nil || len(list) != 0 {
					t.Errorf("profiles %v, %v", list, err)
				}
				r.holdsNo(t, []string{p.Secret, s.Secret}, steps, err)
			})
		}
	})
}

func TestSamePairingChangesNothing(t *testing.T) {
	s := providertest.Fosite(t)
	r := start(t, "")
	p := robotOf(s)
	r.mustPair(t, p)
	asked := s.TokenRequests()
	if again := r.mustPair(t, p); again.Changed {
		t.Error("the same pairing changed something")
	}
	if now := s.TokenRequests(); now != asked {
		t.Errorf("Identity was asked %d times for nothing", now-asked)
	}
	p.Scopes = s.Scopes[:2]
	_, _, err := r.pairing(t, p)
	failsWith(t, err, api.AlreadyPaired)
	p.Replace = true
	if anew := r.mustPair(t, p); !anew.Changed || len(anew.Profile.Scopes) != 2 {
		t.Errorf("got %+v", anew)
	}
	if n := r.entries(t); n != 1 {
		t.Errorf("%d entries in the store, want the new one alone", n)
	}
}

func TestSecretReplacedWhileOldAndNewAreValid(t *testing.T) {
	s := providertest.Fosite(t)
	r := start(t, "")
	r.mustPair(t, robotOf(s))
	s.AddSecret("second-secret-with-$igns")
	failsWith(t, r.admin.SetSecret(t.Context(), "invoices", "not-a-secret-of-it"), api.ProviderRefused)
	if err := r.admin.SetSecret(t.Context(), "invoices", "second-secret-with-$igns"); err != nil {
		t.Fatal(err)
	}
	if n, m := len(r.records(t, "pair")), len(r.records(t, "secret")); n != 1 || m != 1 {
		t.Errorf("%d pairings and %d changes of a secret are recorded, want one of each", n, m)
	}
	s.RemoveSecret(s.Secret)
	if err := r.admin.Retry(t.Context(), "invoices"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Token(t.Context(), api.TokenRequest{}); err != nil {
		t.Fatal(err)
	}
	if n := r.entries(t); n != 1 {
		t.Errorf("%d entries in the store, want one", n)
	}
}

func TestUnpairForgetsAll(t *testing.T) {
	s := providertest.Fosite(t)
	r := start(t, "")
	r.mustPair(t, robotOf(s))
	if _, err := r.Token(t.Context(), api.TokenRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := r.admin.Unpair(t.Context(), "invoices"); err != nil {
		t.Fatal(err)
	}
	_, err := r.Token(t.Context(), api.TokenRequest{Profile: "invoices"})
	failsWith(t, err, api.NotPaired)
	if n := r.entries(t); n != 0 {
		t.Errorf("%d entries are left in the store", n)
	}
}

func TestPairingOutlivesTheAgent(t *testing.T) {
	s := providertest.Fosite(t)
	dir := t.TempDir()
	r := startIn(t, dir, "")
	r.mustPair(t, robotOf(s))
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = startIn(t, dir, "")
	if _, err := r.Token(t.Context(), api.TokenRequest{Profile: "invoices"}); err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyAudit(r.state); err != nil {
		t.Error(err)
	}
}
