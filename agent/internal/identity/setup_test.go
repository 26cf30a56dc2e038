package identity_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keytender/agent/internal/identity"
	"keytender/agent/internal/orchestrator"
	"keytender/agent/orchestratortest"
	"keytender/vault"
	"keytender/vault/egress"
)

// canary is a secret, and canaryCode one that could pass for an error code.
const (
	canary     = "canary!%&+secret"
	canaryCode = "canary_secret"
)

func newServer(t *testing.T, o orchestratortest.Options) *orchestratortest.Server {
	t.Helper()
	s := orchestratortest.New(o)
	t.Cleanup(s.Close)
	return s
}

// newClient trusts the authorities of servers.
func newClient(t *testing.T, timeout time.Duration, servers ...*orchestratortest.Server) *identity.Client {
	t.Helper()
	o := egress.Options{Timeout: timeout}
	for i, s := range servers {
		file := filepath.Join(t.TempDir(), fmt.Sprintf("ca%d.pem", i))
		if err := os.WriteFile(file, s.CAPEM, 0o600); err != nil {
			t.Fatal(err)
		}
		o.CAFiles = append(o.CAFiles, file)
	}
	hc, err := egress.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hc.CloseIdleConnections)
	return identity.New(hc, nil)
}

// fake is an identity client whose server is answer.
func fake(answer func(*http.Request) (*http.Response, error)) *identity.Client {
	return identity.New(&http.Client{Transport: roundTripper(answer)}, nil)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func address(t *testing.T, raw string) *orchestrator.Address {
	t.Helper()
	a, err := orchestrator.ParseAs(raw, "")
	if err != nil {
		t.Fatal(err)
	}
	return &a
}

func requestOf(s *orchestratortest.Server, c orchestratortest.Client, scopes ...string) identity.Request {
	return identity.Request{TokenEndpoint: s.Identity + "/connect/token", ClientID: c.ID, Secret: vault.NewSecret(c.Secret), Scopes: scopes}
}

// failure checks that err is an *identity.Error with something to say and
// nothing to hide.
func failure(t *testing.T, err error) *identity.Error {
	t.Helper()
	silent(t, err)
	e, ok := errors.AsType[*identity.Error](err)
	if !ok {
		t.Fatalf("got %v, want an *identity.Error", err)
	}
	if e.What == "" || e.Todo == "" || e.Kind == "" {
		t.Errorf("%#v leaves somebody helpless", e)
	}
	return e
}

// silent checks that no link of an error's chain shows a canary or anything but
// printable ASCII, however printed.
func silent(t *testing.T, err error) {
	t.Helper()
	for ; err != nil; err = errors.Unwrap(err) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if text := fmt.Sprintf(verb, err); strings.Contains(text, "canary") || !printable(text) {
				t.Errorf("%s shows what the server sent: %q", verb, text)
			}
		}
	}
}

func printable(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' })
}
