package orchestrator

import (
	"encoding/json"
	"time"

	"keytender/vault"
)

// MachineSecrets administers the secrets of the machine object whose license key
// is licenseKey, which is its client id (PROTOCOL.md §2). Tokens for it go to
// a.Base and nowhere else.
func (c Client) MachineSecrets(a Address, licenseKey string) Secrets {
	return Secrets{
		Scope: "OR.Machines", http: c.HTTP, tenant: a.header(),
		server: "Orchestrator at " + a.Origin, base: a.Base, noun: "machine object",
		place: machine{base: a.Base + "/api/clientsecrets/", key: licenseKey},
	}
}

type machine struct{ base, key string }

func (m machine) routes(vault.Secret) (routes, error) {
	if !isClientID(m.key) {
		return routes{}, errNoClientID
	}
	return routes{list: m.base + m.key, make: m.base + m.key, remove: m.base}, nil
}

func (machine) order(vault.Secret, time.Duration) any { return nil }

func (machine) list(body []byte) ([]record, bool) {
	var list []record
	return list, json.Unmarshal(body, &list) == nil && list != nil
}
