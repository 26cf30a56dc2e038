package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"keytender/vault"
	"keytender/vault/egress"
)

// credential is what rests in a store: a secret together with the origins
// that it may be sent to, so that nobody who edits the state or the
// configuration can have it sent elsewhere.
type credential struct {
	secret  vault.Secret
	origins []string // scheme://host[:port]
}

type storedCredential struct {
	Version int      `json:"keytender"`
	Secret  string   `json:"secret"`
	Origins []string `json:"origins"`
}

// errForeignEntry is an entry in a store that the agent did not write.
var errForeignEntry = errors.New("the entry in the store is not Keytender's")

func (c credential) seal() (vault.Secret, error) {
	encoded, err := json.Marshal(storedCredential{1, c.secret.Reveal(), c.origins})
	if err != nil {
		return vault.Secret{}, errors.New("encode the credential")
	}
	return vault.NewSecret(string(encoded)), nil
}

func openCredential(s vault.Secret) (credential, error) {
	var stored storedCredential
	if err := json.Unmarshal([]byte(s.Reveal()), &stored); err != nil || stored.Version != 1 || stored.Secret == "" {
		return credential{}, errForeignEntry // err would quote the entry
	}
	return credential{vault.NewSecret(stored.Secret), stored.Origins}, nil
}

// mayGoTo returns nil if the secret was given for the origin of endpoint.
func (c credential) mayGoTo(endpoint string) error {
	to, err := origin(endpoint)
	if err != nil {
		return err
	}
	if slices.Contains(c.origins, to) {
		return nil
	}
	return &otherOriginError{to, c.origins}
}

// otherOriginError keeps a secret from going where it was not given for.
type otherOriginError struct {
	to    string
	given []string
}

func (e *otherOriginError) Error() string {
	return fmt.Sprintf("the secret was given for %v, not for %s", e.given, e.to)
}

// origin is the scheme, host and port of an address.
func origin(address string) (string, error) {
	u, err := egress.CheckURL(address)
	if err != nil {
		return "", fmt.Errorf("the token endpoint: %w", err)
	}
	return egress.Origin(u), nil
}
