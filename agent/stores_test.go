package agent

import (
	"testing"

	"keytender/vault"
)

// TestNamespaceIsPartOfAStoresHome: what was put into one namespace of a vault is
// neither looked for nor removed in another.
func TestNamespaceIsPartOfAStoresHome(t *testing.T) {
	c := vault.Config{URL: "hashicorp://vault.example/kv/robots"}
	if home := homeOf("corp", c); home != "corp hashicorp://vault.example/kv/robots" {
		t.Errorf("without a namespace: %q", home)
	}
	other := c
	other.Namespace = "eu"
	if homeOf("corp", c) == homeOf("corp", other) {
		t.Error("two namespaces are one store")
	}
}
