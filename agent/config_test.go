package agent

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"keytender/vault"
)

func TestConfigErrorsNameLineAndColumn(t *testing.T) {
	cases := map[string]struct{ yaml, want string }{
		"unknown key":            {"version: 1\nlissten: {tcp: off}\n", ":2:1: "},
		"unknown key, deep":      {"version: 1\nprofiles:\n  a:\n    kind: robot\n    sekret: x\n", ":5:5: "},
		"wrong type":             {"version: 1\nca: {a: b}\n", ":2:5: "},
		"wrong type of version":  {"version: one\n", ":1:10: "},
		"other version":          {"version: 2\n", `:1:10: this agent reads "version: 1"`},
		"no version":             {"ca: []\n", "version"},
		"not YAML":               {"version: 1\nprofiles: [\n", ":2:"},
		"duplicate key":          {"version: 1\nversion: 1\n", ":2:1: "},
		"open address":           {"version: 1\nlisten: {tcp: \"0.0.0.0:15398\"}\n", ":2:15: "},
		"host name":              {"version: 1\nlisten: {tcp: \"localhost:1\"}\n", ":2:15: "},
		"audit size":             {"version: 1\naudit: {max_size: 1}\n", ":2:19: "},
		"audit time":             {"version: 1\naudit: {keep: 90}\n", ":2:15: "},
		"unknown store":          {"version: 1\nstores:\n  a: {url: \"ftp:x\"}\n", ":3:"},
		"store without url":      {"version: 1\nstores:\n  a: {key: credential}\n", ":3:"},
		"unknown kind":           {"version: 1\nprofiles:\n  a:\n    kind: robbot\n    client_id: x\n", ":4:11: "},
		"plain http":             {"version: 1\nprofiles:\n  a:\n    kind: robot\n    client_id: x\n    url: http://host.example/o/t\n", ":6:10: "},
		"no url":                 {"version: 1\nprofiles:\n  a:\n    kind: robot\n    client_id: x\n", ":4:"},
		"name with a line feed":  {"version: 1\nprofiles:\n  \"a\\nb\": {kind: robot, client_id: x, url: \"https://h/o/t\"}\n", ":3:"},
		"scope with a line feed": {"version: 1\nprofiles:\n  a:\n    kind: robot\n    client_id: x\n    url: https://h/o/t\n    scopes: [\"a\\r\\nb\"]\n", ":7:"},
		"secret in no store":     {"version: 1\nprofiles:\n  a:\n    kind: robot\n    client_id: x\n    url: https://h/o/t\n    secret: corp/a\n", ":7:13: "},
		"missing default":        {"version: 1\ndefault_profile: zz\nprofiles:\n  a: {kind: robot, client_id: x, url: \"https://h/o/t\"}\n", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")
			writeFile(t, path, c.yaml)
			_, err := Load(path, User)
			if c.want == "" {
				if err != nil {
					t.Fatal(err) // a default profile may be paired later
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), path) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s…%s", err, path, c.want)
			}
		})
	}
}

func TestConfigIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	writeFile(t, path, `
version: 1
listen: {tcp: "off"}
default_profile: invoices
audit: {max_size: 1MiB, keep: 7d}
stores:
  robots: {url: "memory:"}
profiles:
  invoices: {kind: robot, url: "https://cloud.uipath.com/acme/prod/orchestrator_", client_id: 7f0c, secret: robots/invoices, scopes: [OR.Jobs]}
`)
	c, err := Load(path, User)
	if err != nil {
		t.Fatal(err)
	}
	size, _ := c.Audit.maxSize()
	keep, _ := c.Audit.keep()
	tcp, _ := c.tcp("127.0.0.1:0")
	if size != 1<<20 || keep != 7*24*time.Hour || tcp != "" {
		t.Errorf("size %d, keep %s, tcp %q", size, keep, tcp)
	}
	live, err := newCatalog(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := live.pick("")
	if err != nil || p.Store != "robots" || p.Entry != "invoices" || p.key.Scopes != "OR.Jobs" {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestNoConfigIsTheEmptyOne(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml"), User); err != nil {
		t.Error(err)
	}
}

func TestMachineConfigThatOthersCanChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	writeFile(t, path, "version: 1\n")
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, Machine); err == nil || !strings.Contains(err.Error(), "can be changed by others than root") {
		t.Errorf("got %v", err)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add("version: 1\nprofiles:\n  a: {kind: robot}\n")
	f.Add("version: 1\nstores: {a: {url: \"sealed:\", key: keyring}}\n")
	f.Add("version: 1\naudit: {max_size: 64MiB, keep: 90d}\n")
	f.Add("&a [*a]")
	f.Fuzz(func(t *testing.T, content string) {
		path := filepath.Join(t.TempDir(), "config.yaml")
		writeFile(t, path, content)
		if _, err := Load(path, User); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("an error of several lines: %q", err)
		}
	})
}

// TestExampleConfig loads installer/config.yaml as it is and with its
// examples, and finds every key in it.
func TestExampleConfig(t *testing.T) {
	plain := filepath.Join("..", "installer", "config.yaml")
	if _, err := Load(plain, User); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config.yaml")
	writeFile(t, path, strings.ReplaceAll(string(content), "\n#:", "\n"))
	c, err := Load(path, User)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newCatalog(c, nil); err != nil || len(c.Profiles) != 3 {
		t.Errorf("%d profiles, %v", len(c.Profiles), err)
	}
	for _, part := range []any{c, c.Listen, c.Audit, vault.Config{}, vault.Fields{}, vault.Login{}, ProfileConfig{}, AuthConfig{}} {
		for field := range reflect.TypeOf(part).Fields() {
			if key := field.Tag.Get("yaml"); !strings.Contains(string(content), key+":") {
				t.Errorf("the example does not explain %s", key)
			}
		}
	}
}
