package providertest

import (
	"os/exec"
	"path/filepath"
	"testing"

	"keytender/installer/testbed"
)

// Fosite starts a server on ory/fosite: opaque access tokens, secrets that are
// rotated while it runs, routes below {origin}/identity_, and no Orchestrator.
func Fosite(t testing.TB) *Server {
	t.Helper()
	tree, err := testbed.Fosite().Find()
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	s.begin(Options{}, exec.Command(filepath.Join(tree, "fosite")))
	return s
}
