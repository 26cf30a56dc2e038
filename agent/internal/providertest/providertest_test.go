package providertest_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"keytender/agent/internal/providertest"
)

func TestEveryServerGivesATokenForItsSecretAlone(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *providertest.Server{
		"oidc-provider": oidcProvider,
		"glewlwyd":      func(t testing.TB) *providertest.Server { return providertest.Glewlwyd(t) },
		"fosite":        func(t testing.TB) *providertest.Server { return providertest.Fosite(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			token, err := grant(t, s, s.Secret, "OR.Folders", "OR.Jobs")
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(token.Expiry); left < 50*time.Minute || left > 61*time.Minute {
				t.Errorf("the token lives %v, want about an hour", left)
			}
			if scope := token.Extra("scope"); scope != "OR.Folders OR.Jobs" {
				t.Errorf("scope %q was granted", scope)
			}
			if _, err := grant(t, s, "wrong", "OR.Folders"); !refused(err) {
				t.Errorf("a wrong secret: %v, want a refusal", err)
			}
			if _, err := grant(t, s, s.Secret, s.Refused); !refused(err) {
				t.Errorf("scope %s: %v, want a refusal", s.Refused, err)
			}
			s.Stop()
			if _, err := grant(t, s, s.Secret, "OR.Folders"); err == nil || refused(err) {
				t.Errorf("after Stop: %v, want no connection", err)
			}
		})
	}
}

func TestSecretsAreRotatedWhileTheServerRuns(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *providertest.Server{
		"oidc-provider": oidcProvider,
		"fosite":        func(t testing.TB) *providertest.Server { return providertest.Fosite(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.AddSecret("second")
			for _, secret := range []string{s.Secret, "second"} {
				if _, err := grant(t, s, secret, "OR.Jobs"); err != nil {
					t.Errorf("with two valid secrets, %q: %v", secret, err)
				}
			}
			s.RemoveSecret(s.Secret)
			if _, err := grant(t, s, s.Secret, "OR.Jobs"); !refused(err) {
				t.Errorf("a removed secret: %v, want a refusal", err)
			}
			if _, err := grant(t, s, "second", "OR.Jobs"); err != nil {
				t.Errorf("the secret that stayed: %v", err)
			}
			if n := s.TokenRequests(); n != 4 {
				t.Errorf("%d token requests were counted, want 4", n)
			}
		})
	}
}

func TestLifetimeIsSetWhileTheServerRuns(t *testing.T) {
	t.Parallel()
	s := providertest.OIDCProvider(t, providertest.Options{Lifetime: 10 * time.Minute})
	for _, want := range []time.Duration{10 * time.Minute, 30 * time.Second} {
		s.SetLifetime(want)
		token, err := grant(t, s, s.Secret, "OR.Jobs")
		if err != nil {
			t.Fatal(err)
		}
		if left := time.Until(token.Expiry); left > want || left < want-10*time.Second {
			t.Errorf("the token lives %v, want %v", left, want)
		}
	}
}

func TestOrchestratorServesOnlyItsIdentitysTokens(t *testing.T) {
	t.Parallel()
	s, other := oidcProvider(t), oidcProvider(t)
	const folders, user = "/odata/Folders?$top=1", "/odata/Users/UiPath.Server.Configuration.OData.GetCurrentUser"
	for _, call := range []struct {
		of    *providertest.Server
		scope string
		path  string
		want  int
	}{
		{s, "OR.Folders", folders, http.StatusOK},
		{s, "OR.Folders.Read", folders, http.StatusOK},
		{s, "OrchestratorApiUserAccess", folders, http.StatusOK},
		{s, "OR.Jobs", folders, http.StatusForbidden},
		{s, "OR.Users.Read", user, http.StatusOK},
		{other, "OR.Folders", folders, http.StatusUnauthorized},
		{nil, "", folders, http.StatusUnauthorized},
		{nil, "", "/api/Status/Get", http.StatusOK},
		{nil, "", "/odata/Robots", http.StatusNotFound},
	} {
		client := http.DefaultClient
		if call.of != nil {
			token, err := grant(t, call.of, call.of.Secret, call.scope)
			if err != nil {
				t.Fatal(err)
			}
			client = oauth2.NewClient(t.Context(), oauth2.StaticTokenSource(token))
		}
		response, err := client.Get(s.Orchestrator + call.path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != call.want {
			t.Errorf("GET %s with %q: %s, want %d", call.path, call.scope, response.Status, call.want)
		}
	}
}

func oidcProvider(t testing.TB) *providertest.Server {
	return providertest.OIDCProvider(t, providertest.Options{})
}

// grant asks for a token as any OAuth client would, by the discovery document.
func grant(t *testing.T, s *providertest.Server, secret string, scopes ...string) (*oauth2.Token, error) {
	t.Helper()
	response, err := http.Get(s.Issuer + "/.well-known/openid-configuration")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var discovery struct {
		Issuer        string
		TokenEndpoint string `json:"token_endpoint"`
	}
	if err := json.NewDecoder(response.Body).Decode(&discovery); err != nil {
		t.Fatal(err)
	}
	if discovery.Issuer != s.Issuer || !strings.HasPrefix(discovery.TokenEndpoint, s.Origin) {
		t.Fatalf("discovery of %s says %+v", s.Issuer, discovery)
	}
	config := clientcredentials.Config{
		ClientID: s.ClientID, ClientSecret: secret, TokenURL: discovery.TokenEndpoint,
		Scopes: scopes, AuthStyle: oauth2.AuthStyleInParams,
	}
	return config.Token(t.Context())
}

// refused tells an Identity Server's no from an Identity Server that is not there.
func refused(err error) bool {
	answer, ok := errors.AsType[*oauth2.RetrieveError](err)
	return ok && answer.Response.StatusCode/100 == 4
}
