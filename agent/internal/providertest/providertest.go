// Package providertest runs Identity Servers that others wrote, for tests: no
// claim about pairing or tokens rests on our own simulation alone. Each server
// is a process of its own on the loopback interface, on a port of the system's
// choice, and ends with its test.
//
// What the servers are made of is prepared by "make test" (package testbed). A
// server whose parts are missing fails the test that wants it.
package providertest

import (
	"os/exec"
	"testing"
	"time"

	"keytender/installer/testbed"
)

// Server is a running Identity Server with one client for client_credentials.
type Server struct {
	Origin       string // http://127.0.0.1:PORT
	Issuer       string // the identity base that has the discovery document
	Orchestrator string // the URL to pair with, or "" where there is no Orchestrator
	ClientID     string
	Secret       string   // valid from the start
	Scopes       []string // what the client may ask for
	Refused      string   // a scope that the client may not have

	t       testing.TB
	process *testbed.Process
}

// Options are what a test can choose before the start; zero values will do.
type Options struct {
	Lifetime time.Duration // of tokens, in whole seconds; 0 is one hour
}

// newServer has the values that all servers share. The secret holds symbols, as
// the vendor's do, to catch whoever forgets to encode a form.
func newServer(t testing.TB) *Server {
	return &Server{
		ClientID: "5f2c1a9e-robot",
		Secret:   "QJX!jv12345A4q4N&=+%/ ~",
		Scopes: []string{
			"OrchestratorApiUserAccess", "OR.Assets", "OR.Folders", "OR.Folders.Read", "OR.Jobs", "OR.Jobs.Read",
			"OR.Machines", "OR.Machines.Read", "OR.Queues", "OR.Queues.Read", "OR.Users", "OR.Users.Read",
		},
		Refused: "PM.OAuthApp",
		t:       t,
	}
}

// begin starts a server program that speaks the JSON lines of testbed.Process.
func (s *Server) begin(o Options, command *exec.Cmd) {
	s.t.Helper()
	if o.Lifetime == 0 {
		o.Lifetime = time.Hour
	}
	s.process = testbed.Start(s.t, command, map[string]any{
		"clientID": s.ClientID, "secret": s.Secret, "lifetime": int(o.Lifetime.Seconds()),
		"scopes": s.Scopes, "refused": s.Refused,
	})
	var address struct{ Origin, Issuer, Orchestrator string }
	s.process.Read(s.t, &address)
	s.Origin, s.Issuer, s.Orchestrator = address.Origin, address.Issuer, address.Orchestrator
}

// AddSecret makes one more secret valid. Glewlwyd keeps one secret a client.
func (s *Server) AddSecret(secret string) {
	s.t.Helper()
	s.process.Order(s.t, "addSecret", secret, nil)
}

// RemoveSecret ends a secret.
func (s *Server) RemoveSecret(secret string) {
	s.t.Helper()
	s.process.Order(s.t, "removeSecret", secret, nil)
}

// SetLifetime sets how long tokens live from the next one on.
func (s *Server) SetLifetime(d time.Duration) {
	s.t.Helper()
	s.process.Order(s.t, "setLifetime", int(d.Seconds()), nil)
}

// TokenRequests counts the requests at the token endpoint so far, refused ones too.
func (s *Server) TokenRequests() int {
	s.t.Helper()
	var n int
	s.process.Order(s.t, "tokenRequests", nil, &n)
	return n
}

// Stop ends the server; connections to it are refused from then on.
func (s *Server) Stop() { s.process.Stop() }
