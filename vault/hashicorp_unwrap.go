package vault

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"
)

const alarm = "tell the vault's administrators, have the secret id destroyed, and a new one issued and wrapped"

// unwrap takes the secret id out of its wrapping, which can be done once. It
// first asks who made the wrapping: one that somebody else made, around a
// secret id of their own, is left alone. See the vendor's "Response wrapping".
func (h *hashicorp) unwrap(ctx context.Context, wrapping Secret) (Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	token := NewSecret(strings.TrimSpace(wrapping.Reveal()))
	if token.IsZero() || !printable(token) {
		return Secret{}, h.refusal("unwrap", ErrLogin, "what was given is no wrapping token", "give the token that the secret id was wrapped in")
	}
	way, err := h.way(nil)
	if err != nil {
		return Secret{}, err
	}
	asking, err := h.as(way, Secret{})
	if err != nil {
		return Secret{}, err
	}
	about, err := asking.Logical().WriteWithContext(ctx, "sys/wrapping/lookup", map[string]any{"token": token.Reveal()})
	if err != nil || about == nil {
		return Secret{}, h.notUnwrapped(ctx, err)
	}
	if made, _ := about.Data["creation_path"].(string); !h.makesSecretIDs(made) {
		return Secret{}, h.refusal("unwrap", ErrLogin,
			"the token does not wrap what auth/"+h.authMount()+"/role/…/secret-id answered, so it was left as it is: somebody may have put it in the place of the right one", alarm)
	}
	c, err := h.as(way, token)
	if err != nil {
		return Secret{}, err
	}
	answer, err := c.Logical().UnwrapWithContext(ctx, token.Reveal())
	if err != nil || answer == nil {
		return Secret{}, h.notUnwrapped(ctx, err)
	}
	return h.secretID(answer)
}

func (h *hashicorp) makesSecretIDs(path string) bool {
	role, below := strings.CutPrefix(path, "auth/"+h.authMount()+"/role/")
	role, last := strings.CutSuffix(role, "/secret-id")
	return below && last && role != "" && !strings.Contains(role, "/")
}

func (h *hashicorp) secretID(answer *api.Secret) (Secret, error) {
	id, _ := answer.Data["secret_id"].(string)
	if id == "" {
		return Secret{}, h.foreign("unwrap", http.StatusOK)
	}
	if uses, _ := answer.Data["secret_id_num_uses"].(json.Number); uses == "1" {
		return Secret{}, h.refusal("unwrap", ErrLogin, "the secret id may be used once, and the agent logs in at each of its starts",
			"have one issued for a role with secret_id_num_uses 0")
	}
	return NewSecret(id), nil
}

// notUnwrapped is the error for a wrapping that the server does not know, or
// for what else came in place of its content.
func (h *hashicorp) notUnwrapped(ctx context.Context, err error) error {
	switch status(err) {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound:
		err = nil
	}
	if err == nil {
		return h.refusal("unwrap", ErrLogin, "the wrapping token has expired or was used before; if it was used, somebody else may have taken the secret id", alarm)
	}
	return h.told(ctx, request{op: "unwrap"}, err)
}
