package vaulttest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"

	"keytender/installer/testbed"
)

// ConjurOrder is what CyberArk's own Go client does to a fake: it logs in, sets
// variables and reads others.
type ConjurOrder struct {
	Login, Key   string // by API key, or
	Service, JWT string // by JWT; Login may be empty then
	Set          map[string]string
	Get          []string
}

// ConjurOutcome is what came of it.
type ConjurOutcome struct {
	Values map[string]string
	Status map[string]int // of what was refused
}

// ByVendorsClient gives the order to CyberArk's own client, which "make test"
// prepares; it is a program of its own, for the reasons of docs/decisions/0014.
func (c *Conjur) ByVendorsClient(t testbed.Test, o ConjurOrder) (done ConjurOutcome) {
	t.Helper()
	dir, err := testbed.ConjurClient().Find()
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(c.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	order, err := json.Marshal(struct {
		ConjurOrder
		URL, Account, CA string
	}{o, "https://" + c.Host, ConjurAccount, string(ca)})
	if err != nil {
		t.Fatal(err)
	}
	client := exec.CommandContext(t.Context(), filepath.Join(dir, "conjurclient"))
	client.Env = []string{"HOME=" + t.TempDir()} // it reads much of one
	client.Stdin, client.Stderr = bytes.NewReader(order), t.Output()
	said, err := client.Output()
	if err != nil {
		t.Fatalf("run the vendor's client: %v", err)
	}
	if err := json.Unmarshal(said, &done); err != nil {
		t.Fatalf("understand the vendor's client: %v: %q", err, said)
	}
	return done
}
