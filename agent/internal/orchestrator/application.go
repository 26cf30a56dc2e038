package orchestrator

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"keytender/vault"
	"keytender/vault/egress"
)

// AppSecrets administers the secrets of the confidential external application
// whose client id is clientID (PROTOCOL.md §3). Tokens for it go to
// a.IdentityAdmin(identity) and nowhere else; they are JWTs that the Identity
// Server itself issued, for they name the organization.
func (c Client) AppSecrets(a Address, identity, clientID string) Secrets {
	base, server := a.IdentityAdmin(identity), "the Identity Server"
	if u, err := egress.CheckURL(base); err == nil {
		server += " at " + egress.Origin(u)
	}
	return Secrets{
		Scope: "PM.OAuthApp", http: c.HTTP,
		server: server, base: base, noun: "external application",
		place: application{identity: base, id: clientID},
	}
}

type application struct{ identity, id string }

const clientsPath = "/api/ExternalClient/"

func (a application) routes(token vault.Secret) (routes, error) {
	if _, err := egress.CheckURL(a.identity); err != nil {
		return routes{}, errNoIdentity
	}
	if !isClientID(a.id) {
		return routes{}, errNoClientID
	}
	partition, ok := partitionOf(token)
	if !ok {
		return routes{}, errNoPartition
	}
	clients := a.identity + clientsPath
	return routes{
		list:   clients + partition + "/" + a.id,
		make:   clients + "GenerateSecret",
		remove: clients + partition + "/secrets/",
	}, nil
}

// madeBy is what people see beside the secret in the list of the application.
const madeBy = "made by Keytender"

func (a application) order(token vault.Secret, lifetime time.Duration) any {
	partition, _ := partitionOf(token) // routes has looked
	order := map[string]any{"clientId": a.id, "partitionGlobalId": partition, "description": madeBy}
	if lifetime > 0 {
		order["expiryTime"] = time.Now().Add(lifetime).UTC().Format(time.RFC3339)
	}
	return order
}

func (application) list(body []byte) ([]record, bool) {
	var details struct{ Secrets []record }
	return details.Secrets, json.Unmarshal(body, &details) == nil && details.Secrets != nil
}

// partitionOf reads the organization's GUID from the prt_id of a JWT. Nothing is
// verified: it only becomes a path at the server that issued the token.
func partitionOf(token vault.Secret) (string, bool) {
	parts := strings.Split(token.Reveal(), ".")
	if len(parts) != 3 {
		return "", false
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return "", false
	}
	var claims struct {
		Partition string `json:"prt_id"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return "", false
	}
	return claims.Partition, isGUID(claims.Partition)
}

func isGUID(text string) bool {
	for i := range len(text) {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		if hyphen != (text[i] == '-') || !hyphen && !strings.ContainsRune("0123456789abcdefABCDEF", rune(text[i])) {
			return false
		}
	}
	return len(text) == 36
}
