package vault

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
)

// listener is a fake vault: it notes headers and answers what is in answers.
type listener struct {
	*httptest.Server
	ca string

	mu      sync.Mutex
	headers map[string]http.Header
}

func newListener(t *testing.T, answers map[string]string) *listener {
	t.Helper()
	l := &listener{headers: map[string]http.Header{}}
	l.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		l.headers[r.Method+" "+r.URL.Path] = r.Header.Clone()
		l.mu.Unlock()
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, answers[r.URL.Path])
	}))
	l.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that do not trust it
	l.StartTLS()
	t.Cleanup(l.Close)
	l.ca = file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: l.Certificate().Raw})))
	return l
}

var robotAnswers = map[string]string{
	"/v1/auth/approle/login":                  `{"auth":{"client_token":"hvs.own","lease_duration":3600,"renewable":true}}`,
	"/v1/sys/internal/ui/mounts/kv-v2/robots": `{"data":{"path":"kv-v2/","type":"kv","options":{"version":"2"}}}`,
	"/v1/kv-v2/data/robots/invoices":          `{"data":{"data":{"invoices":"` + canary + `"},"metadata":{"version":1}}}`,
	"/v1/auth/token/revoke-self":              ``,
}

func (l *listener) place(t *testing.T) place {
	return place{
		config:  Config{URL: "hashicorp://" + strings.TrimPrefix(l.URL, "https://") + "/kv-v2/robots", CA: []string{l.ca}, Login: Login{Method: "approle", RoleID: "7f0c"}},
		options: Options{UserAgent: "keytender/test", Bootstrap: func(context.Context, string) (Secret, error) { return NewSecret("bootstrap"), nil }},
	}
}

// TestHashiCorpHeaders: what every request carries. The free edition has no
// namespaces, so that they work is not verified; that the header goes out is.
func TestHashiCorpHeaders(t *testing.T) {
	l := newListener(t, robotAnswers)
	p := l.place(t)
	p.config.Namespace = "acme/robots"
	st, err := Open(p.config, p.options)
	if err != nil {
		t.Fatal(err)
	}
	sameEntry(t, "invoices", get(t, st, "invoices"), account("", canary))
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	if len(l.headers) != 4 {
		t.Errorf("%d requests", len(l.headers))
	}
	for what, header := range l.headers {
		token := "hvs.own"
		if strings.Contains(what, "login") {
			token = ""
		}
		for key, want := range map[string]string{"X-Vault-Namespace": "acme/robots", "X-Vault-Request": "true", "User-Agent": "keytender/test", "X-Vault-Token": token, "X-Vault-Wrap-Ttl": ""} {
			if got := header.Get(key); got != want {
				t.Errorf("%s: %s is %q", what, key, got)
			}
		}
	}
}

// TestHashiCorpEnvironmentDecidesNothing: every VAULT_* variable of HashiCorp's
// client is set to what would lead elsewhere.
func TestHashiCorpEnvironmentDecidesNothing(t *testing.T) {
	l, elsewhere := newListener(t, robotAnswers), newListener(t, nil)
	for key, value := range map[string]string{
		"ADDR": elsewhere.URL, "AGENT_ADDR": elsewhere.URL, "PROXY_ADDR": elsewhere.URL, "HTTP_PROXY": elsewhere.URL,
		"TOKEN": "hvs.hostile", "NAMESPACE": "hostile", "HEADERS": `{"X-Hostile":"1"}`, "WRAP_TTL": "60s", "MFA": "hostile",
		"CACERT": elsewhere.ca, "SKIP_VERIFY": "true", "TLS_SERVER_NAME": "hostile.example", "SRV_LOOKUP": "true",
		"CLIENT_TIMEOUT": "1ns", "MAX_RETRIES": "9", "RATE_LIMIT": "0.001:1", "DISABLE_REDIRECTS": "false",
	} {
		t.Setenv("VAULT_"+key, value)
	}
	p := l.place(t)
	sameEntry(t, "invoices", get(t, p.open(t), "invoices"), account("", canary))
	for what, header := range l.headers {
		if header.Get("X-Vault-Namespace")+header.Get("X-Hostile")+header.Get("X-Vault-Wrap-Ttl")+header.Get("X-Vault-Mfa") != "" || header.Get("X-Vault-Token") == "hvs.hostile" {
			t.Errorf("%s: %v", what, header)
		}
	}
	if len(elsewhere.headers) != 0 {
		t.Errorf("elsewhere hears %v", elsewhere.headers)
	}
	p.config.CA = nil
	_, err := p.open(t).Get(t.Context(), "invoices")
	wantError(t, err, ErrUnavailable, "an authority that this machine does not know")

	for key, value := range map[string]string{"SKIP_VERIFY": canary, "CACERT": "/nonexistent/" + canary, "HEADERS": canary} {
		t.Run(key, func(t *testing.T) {
			t.Setenv("VAULT_"+key, value)
			_, err := l.place(t).open(t).Get(t.Context(), "invoices")
			wantError(t, err, ErrUnavailable, "VAULT_… variables", "take them out")
		})
	}
}

// TestHashiCorpIsSilent: the client's own logging is off.
func TestHashiCorpIsSilent(t *testing.T) {
	printed := new(strings.Builder)
	log.SetOutput(printed)
	defer log.SetOutput(os.Stderr)
	s := corp(t)
	st := robots(t, s, nil).open(t)
	served(t, st)
	s.Fake(t, "kv/robots/invoices", 500, canary)
	st.Forget("invoices")
	_, err := st.Get(t.Context(), "invoices")
	wantError(t, err, ErrUnavailable)
	if printed.Len() > 0 || s.Requests(t, "GET /v1/kv/robots/invoices") != 2 {
		t.Errorf("printed %q, after %d questions", printed, s.Requests(t, "GET /v1/kv/robots/invoices"))
	}
}
