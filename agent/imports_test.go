package agent

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestImportsRunOneWay reads "go list": programs import the agent, the agent
// its internals and the vault, and nothing runs back.
func TestImportsRunOneWay(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "keytender/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	owners := map[string][]string{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, imported := range p.Imports {
			if !mayImport(p.ImportPath, imported) {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
			ships := !strings.HasPrefix(p.ImportPath, "keytender/vault/vaulttest") // which only tests and the benchmark import
			if ships && strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") {
				owners[imported] = append(owners[imported], p.ImportPath)
			}
		}
	}
	for module, packages := range owners {
		if len(packages) > 1 && !strings.HasPrefix(module, "golang.org/x/sys/") {
			t.Errorf("%s is imported by %v, want one folder", module, packages)
		}
	}
}

// benchmark is the program of "make bench", which nobody else gets.
const benchmark = "keytender/agent/internal/bench"

// mayImport is the rule of docs/contributing.md for our own packages.
func mayImport(from, to string) bool {
	if !strings.HasPrefix(to, "keytender/") {
		return from != "keytender/agent/api" || !strings.Contains(to, ".")
	}
	within := func(path string, roots ...string) bool {
		return slices.ContainsFunc(roots, func(r string) bool { return path == r || strings.HasPrefix(path, r+"/") })
	}
	switch {
	case within(to, "keytender/service", "keytender/tray"):
		return false
	case within(to, "keytender/installer/testbed"): // and no program is built from tests but the benchmark
		return within(from, "keytender/installer/testbed", "keytender/agent/internal/providertest", "keytender/vault/vaulttest", benchmark)
	case within(to, "keytender/vault/vaulttest"):
		return within(from, benchmark)
	case within(from, "keytender/vault/vaulttest"):
		return false
	case from == "keytender/agent/api":
		return false
	case to == "keytender/agent/api", within(from, "keytender/service"):
		return true
	case within(from, "keytender/tray"):
		return false
	case within(from, "keytender/vault"):
		return within(to, "keytender/vault")
	case within(from, "keytender/agent/internal/policy"):
		return false
	case within(from, "keytender/agent/internal"):
		return to != "keytender/agent" // its internals know nothing of the whole
	}
	return true
}
