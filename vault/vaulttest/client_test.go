package vaulttest_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"keytender/vault/vaulttest"
)

// client asks one vault; it is plain net/http.
type client struct {
	http      *http.Client
	base      string
	token     string
	namespace string
}

func newClient(t *testing.T, s *vaulttest.HashiCorpServer, shown ...tls.Certificate) client {
	t.Helper()
	ca, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: x509.NewCertPool(), Certificates: shown},
		ForceAttemptHTTP2: true, // as the default transport does
	}
	if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(ca) {
		t.Fatal("no certificate in CAFile")
	}
	t.Cleanup(transport.CloseIdleConnections)
	return client{http: &http.Client{Transport: transport}, base: "https://" + s.Address + "/v1/"}
}

func pair(t *testing.T, certificate, key []byte) tls.Certificate {
	t.Helper()
	p, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (c client) do(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var sent io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, sent)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		request.Header.Set("X-Vault-Token", c.token)
	}
	if c.namespace != "" {
		request.Header.Set("X-Vault-Namespace", c.namespace)
	}
	return c.http.Do(request)
}

// ask returns status 0 where no answer came.
func (c client) ask(t *testing.T, method, path string, body any) (status int, answer []byte) {
	t.Helper()
	response, err := c.do(t.Context(), method, path, body)
	if err != nil {
		t.Errorf("%s %s: %v", method, path, err)
		return 0, nil
	}
	defer response.Body.Close()
	if answer, err = io.ReadAll(response.Body); err != nil {
		t.Errorf("%s %s: %v", method, path, err)
	}
	return response.StatusCode, answer
}

func (c client) want(t *testing.T, status int, method, path string, body any) {
	t.Helper()
	if got, _ := c.ask(t, method, path, body); got != status {
		t.Errorf("%s %s: status %d, want %d", method, path, got, status)
	}
}

func (c client) must(t *testing.T, method, path string, body any) (decoded any) {
	t.Helper()
	status, answer := c.ask(t, method, path, body)
	if status != http.StatusOK {
		t.Fatalf("%s %s: status %d: %s", method, path, status, answer)
	}
	if err := json.Unmarshal(answer, &decoded); err != nil {
		t.Fatal(err)
	}
	return decoded
}

// at looks a value up in decoded JSON.
func at(value any, keys ...string) any {
	for _, key := range keys {
		object, _ := value.(data)
		value = object[key]
	}
	return value
}

func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
