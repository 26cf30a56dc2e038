// Package vaulttest runs the servers that stores keep secrets in, for tests. Each
// is a process of its own on the loopback interface, on a port of the system's
// choice, and ends with its test.
//
// What the servers are made of is prepared by "make test" (package testbed). A
// server whose parts are missing fails the test that wants it.
package vaulttest

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"keytender/installer/testbed"
)

// HashiCorpServer is HashiCorp Vault's own core and HTTP API on TLS, in memory and
// unsealed, with empty engines kv (version 1) and kv-v2 at the mounts of these
// names, and the login methods approle, cert, jwt, ldap and userpass at theirs.
// It has no AD engine: a KV engine, version 1, at ad stands in for it, so that
// ad/creds/NAME answers what was written there, under Vault's own policies.
//
// What its methods do is done as root and not counted. Paths are those of the
// API without /v1/. A refusal of what a test sets up fails the test.
type HashiCorpServer struct {
	Address string // 127.0.0.1:PORT
	CAFile  string // the authority of its certificate, PEM

	issuer  *issuer
	process *testbed.Process
}

// HashiCorp starts a vault, in about 0.2 s.
func HashiCorp(t testbed.Test) *HashiCorpServer {
	t.Helper()
	tree, err := testbed.HashiCorpVault().Find()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := &HashiCorpServer{issuer: newIssuer(t)}
	s.CAFile = s.issuer.file
	certificate, key := s.issuer.both(t, "vault")
	s.process = testbed.Start(t, exec.Command(filepath.Join(tree, "hashicorp")), map[string]string{
		"certificate": write(t, dir, "server.pem", certificate),
		"key":         write(t, dir, "server-key.pem", key),
	})
	s.process.Read(t, s)
	return s
}

// API sends one request and decodes the answer's body, unless into is nil.
func (s *HashiCorpServer) API(t testbed.Test, method, path string, body, into any) {
	t.Helper()
	request := map[string]any{"method": method, "path": path}
	if body != nil {
		request["body"] = body
	}
	s.api(t, request, into)
}

func (s *HashiCorpServer) api(t testbed.Test, request map[string]any, into any) {
	t.Helper()
	var answer struct {
		Status int
		Body   json.RawMessage
	}
	s.process.Order(t, "api", request, &answer)
	if answer.Status >= http.StatusMultipleChoices {
		t.Fatalf("%s %s: vault answers %d: %s", request["method"], request["path"], answer.Status, answer.Body)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(answer.Body, into); err != nil {
		t.Fatalf("%s %s: %v", request["method"], request["path"], err)
	}
}

// Write writes to a path. KV version 2 wants kv-v2/data/NAME and {"data": …}.
func (s *HashiCorpServer) Write(t testbed.Test, path string, data map[string]any) {
	t.Helper()
	s.API(t, http.MethodPost, path, data, nil)
}

// Delete deletes a path.
func (s *HashiCorpServer) Delete(t testbed.Test, path string) {
	t.Helper()
	s.API(t, http.MethodDelete, path, nil, nil)
}

// Seal seals the vault: 503 to all, until Unseal. Tokens and secrets stay.
func (s *HashiCorpServer) Seal(t testbed.Test) {
	t.Helper()
	s.process.Order(t, "seal", nil, nil)
}

// Unseal opens the vault.
func (s *HashiCorpServer) Unseal(t testbed.Test) {
	t.Helper()
	s.process.Order(t, "unseal", nil, nil)
}

// Stop ends the server; connections to it are refused from then on.
func (s *HashiCorpServer) Stop() { s.process.Stop() }

// Requests counts the clients' requests so far whose method, path and namespace,
// as in "GET /v1/kv/a%20b" or "GET /v1/kv/a team", contain part; a request counts
// as soon as it has come. The free edition has no namespaces: it ignores them.
func (s *HashiCorpServer) Requests(t testbed.Test, part string) (n int) {
	t.Helper()
	var all []string
	s.process.Order(t, "requests", nil, &all)
	for _, request := range all {
		if strings.Contains(request, part) {
			n++
		}
	}
	return n
}

// Forget starts the count again.
func (s *HashiCorpServer) Forget(t testbed.Test) {
	t.Helper()
	s.process.Order(t, "forget", nil, nil)
}

// Delay makes the answers to paths that contain part wait. Here as with Hold and
// Cut the vault does at once what it is asked, and only the answer is late or
// lost. Of several that fit one path the last counts.
func (s *HashiCorpServer) Delay(t testbed.Test, part string, d time.Duration) {
	t.Helper()
	s.process.Order(t, "fault", map[string]any{"part": part, "delay": d.Milliseconds()}, nil)
}

// Hold makes the answers to paths that contain part wait for Mend.
func (s *HashiCorpServer) Hold(t testbed.Test, part string) {
	t.Helper()
	s.process.Order(t, "fault", map[string]any{"part": part, "hold": true}, nil)
}

// Cut closes the connection in place of the answers to paths that contain part.
// net/http may ask again by itself where the connection had served before.
func (s *HashiCorpServer) Cut(t testbed.Test, part string) {
	t.Helper()
	s.process.Order(t, "fault", map[string]any{"part": part, "cut": true}, nil)
}

// Fake answers a path, whatever the method and the token, in the vault's place:
// for what a real vault would hardly say.
func (s *HashiCorpServer) Fake(t testbed.Test, path string, status int, body string) {
	t.Helper()
	s.process.Order(t, "fake", map[string]any{"path": path, "status": status, "text": body}, nil)
}

// Mend ends every Delay, Hold, Cut and Fake; what is held is answered.
func (s *HashiCorpServer) Mend(t testbed.Test) {
	t.Helper()
	s.process.Order(t, "mend", nil, nil)
}

// write makes a file that only this user reads and returns its path.
func write(t testbed.Test, dir, name string, data []byte) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
