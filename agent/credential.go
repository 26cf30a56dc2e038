package agent

import (
	"fmt"
	"slices"

	"keytender/agent/api"
	"keytender/vault"
	"keytender/vault/egress"
)

// credential is a profile's client id and secret, together with the origins
// that the secret may be sent to. In the agent's own stores the origins rest
// with the secret, so that nobody who edits the state or the configuration can
// have it sent elsewhere. An entry of a shared vault has none: what it may be
// sent to is what the profile says, which belongs to people.
type credential struct {
	clientID string
	secret   vault.Secret
	origins  []string // scheme://host[:port]
	said     string   // the store at which config.yaml says origins, or ""
	entry    vault.Entry
}

// credentialOf is what rests in an entry of store for p.
func (p *profile) credentialOf(e vault.Entry, store *watchedStore) (credential, error) {
	c, err := p.bound(credential{clientID: p.ClientID, secret: e.Secret, origins: e.Origins, entry: e}, store)
	if err != nil {
		return credential{}, err
	}
	if p.ClientIDFrom == "" {
		return c, nil
	}
	if c.clientID = e.Username; !isClientID(c.clientID) {
		return credential{}, wrong("client_id_from", "the entry %s holds no client id beside the secret: name it with client_id, or the entry's key with fields.username", p.Entry)
	}
	return c, nil
}

// bound is c with where it may be sent, if it rests in a shared store, or is to: where
// config.yaml says at the store; else where the profile says, if people wrote that
// there too. A pairing's own word does not do: whoever may pair, or writes the state,
// could have any entry that the agent can read sent anywhere, also one that others
// fill later.
func (p *profile) bound(c credential, store *watchedStore) (credential, error) {
	switch {
	case !store.config.Shared():
		return c, nil
	case len(store.config.Origins) > 0:
		c.origins, c.said = store.config.Origins, store.name
		return c, nil
	case p.Source == api.SourcePaired:
		return c, wrong("store", "config.yaml does not say where secrets of %s may be sent: name it there, at the store (origins: [https://…]), and reload; or declare the profile there", store.name)
	}
	to, err := p.secretOrigin()
	c.origins = []string{to}
	return c, err
}

// secretOrigin is where the profile's own words let its secret go.
func (p *profile) secretOrigin() (string, error) {
	switch {
	case p.TokenEndpoint != "":
		return origin(p.TokenEndpoint)
	case p.Identity != "":
		return origin(p.Identity)
	}
	return p.address.Origin, nil
}

func (c credential) toKeep() vault.Entry {
	return vault.Entry{Username: c.clientID, Secret: c.secret, Origins: c.origins}
}

// toReplace is what takes the place of old, the entry of a client that was known
// by id. What a shared vault has beside the secret is read by others as well: it
// stays, unless it is that client id.
func (c credential) toReplace(old vault.Entry, id string) vault.Entry {
	next := c.toKeep()
	if old.Username != id {
		next.Username = old.Username
	}
	return next
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
	return &otherOriginError{to, c.origins, c.said}
}

// otherOriginError keeps a secret from going where it was not given for.
type otherOriginError struct {
	to    string
	given []string
	said  string // the store at which config.yaml says so, or ""
}

func (e *otherOriginError) Error() string {
	if e.said != "" {
		return fmt.Sprintf("secrets of %s may be sent to %v, not to %s", e.said, e.given, e.to)
	}
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
