package main

import (
	"fmt"
	"os"
	"strings"

	"keytender/installer/testbed"
	"keytender/vault/vaulttest"

	"github.com/rogpeppe/go-internal/testscript"
)

// corp is the HashiCorp Vault of a script, once it is started: the real core.
type corp struct {
	test   testbed.Test // the script's own
	server *vaulttest.HashiCorpServer
}

// vaultCommand is what happens in the vault of a script:
//
//	vault start                  writes config.yaml, whose store "corp" is an AppRole that
//	                             may read below kv-v2/robots, and the file secret.id
//	vault write NAME KEY=VALUE…  makes the entry kv-v2/robots/NAME; a value @secret is that
//	                             of robot.secret
//	vault seal | unseal
func vaultCommand(ts *testscript.TestScript, neg bool, args []string) {
	c := ts.Value("vault").(*corp)
	args = append(args, "")
	switch {
	case neg:
		ts.Fatalf("usage: vault start|write|seal|unseal")
	case args[0] == "start":
		c.start(ts)
	case args[0] == "write":
		fields := map[string]any{}
		for _, field := range args[2 : len(args)-1] {
			key, value, _ := strings.Cut(field, "=")
			if value == "@secret" {
				value = symbols
			}
			fields[key] = value
		}
		c.server.Write(c.test, "kv-v2/data/robots/"+args[1], map[string]any{"data": fields})
	case args[0] == "seal":
		c.server.Seal(c.test)
	case args[0] == "unseal":
		c.server.Unseal(c.test)
	default:
		ts.Fatalf("unknown: vault %s", args[0])
	}
}

func (c *corp) start(ts *testscript.TestScript) {
	c.server = vaulttest.HashiCorp(c.test)
	c.server.Policy(c.test, "keytender", `path "kv-v2/data/robots/*" { capabilities = ["read"] }
path "kv-v2/data/robots/forbidden" { capabilities = ["deny"] }`)
	role, secret := c.server.AppRole(c.test, "keytender", "keytender", map[string]any{"token_ttl": "1h"})
	config := fmt.Sprintf(`version: 1
stores:
  default: {url: "sealed:", key: "file:%s"}
  corp:
    url: "hashicorp://%s/kv-v2/robots"
    ca: [%s]
    origins: [%s]
    login: {method: approle, role_id: %s}
`, ts.MkAbs("seal.key"), c.server.Address, c.server.CAFile, ts.Getenv("ORCH_ORIGIN"), role)
	ts.Check(os.WriteFile(ts.MkAbs("config.yaml"), []byte(config), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("secret.id"), []byte(secret+"\n"), 0o600))
	ts.Setenv("KEYTENDER_CONFIG", ts.MkAbs("config.yaml"))
}
