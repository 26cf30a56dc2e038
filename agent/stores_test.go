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

// TestOneEntryByTwoNames: what one profile leaves behind may be what another uses.
func TestOneEntryByTwoNames(t *testing.T) {
	const address = "hashicorp://vault.example/kv"
	at := func(url, namespace string) *watchedStore {
		return &watchedStore{config: vault.Config{URL: url, Namespace: namespace}}
	}
	own := at("sealed:", "")
	for _, c := range []struct {
		one, other *watchedStore
		entry, its string
		same       bool
	}{
		{at(address, ""), at(address, ""), "robots/a", "robots/a", true},
		{at(address, ""), at(address+"/robots", ""), "robots/a", "a", true},
		{at("azure://vault", ""), at("azure://vault", ""), "Robot-A", "robot-a", true},
		{at(address, ""), at(address, ""), "robots/a", "robots/b", false},
		{at(address, ""), at(address+"2", ""), "a", "a", false},
		{at(address, ""), at(address, "eu"), "a", "a", false},
		{own, own, "declared/a", "declared/a", true},
		{own, at("sealed:", ""), "declared/a", "declared/a", false},
	} {
		if got := c.one.holds(c.entry, c.other, c.its); got != c.same {
			t.Errorf("%s in %+v is %s in %+v: %v", c.entry, c.one.config, c.its, c.other.config, got)
		}
	}
}
