package orchestrator

import (
	"context"
	"net/http"
	"slices"
	"time"

	"keytender/vault"
)

// SecretInfo is what a server tells of a secret that it keeps, which is never the
// secret itself.
type SecretInfo struct {
	ID        string    // of one to 19 digits; Delete takes it
	CreatedAt time.Time // UTC; zero if the server does not tell
	ExpiresAt time.Time // UTC; zero if it never does, or the server does not tell
}

// Secrets administers the secrets of one client: see Client.MachineSecrets and
// Client.AppSecrets. All secrets of a client are valid at once. Nothing is tried
// twice, and every error is a *SecretsError.
type Secrets struct {
	// Scope is what a token needs for List, Make and Delete together. A token that
	// was granted when exactly this was asked for has it.
	Scope string
	// Lifetime is that of a secret which Make makes; 0 leaves it to the server.
	// Secrets of machine objects do not expire, and it is not used for them.
	Lifetime time.Duration

	http   *http.Client
	server string // who answers, for sentences
	base   string // below which it is asked, for sentences
	noun   string // what the client is, for sentences
	tenant string // for the tenant header, or ""
	place  place
}

// place is one of the two administrations.
type place interface {
	// routes says where things are for whoever has token. The error is a sentence
	// about what is not sent.
	routes(token vault.Secret) (routes, error)
	// order is the body of make; nil for none.
	order(token vault.Secret, lifetime time.Duration) any
	// list reads the answer of list; false if it is none.
	list(body []byte) ([]record, bool)
}

// routes are URLs; remove wants an id at its end.
type routes struct{ list, make, remove string }

// List tells which secrets the client has, the oldest first. It does not tell
// which of them is which: a secret that was not made here has no known ID.
func (s Secrets) List(ctx context.Context, token vault.Secret) ([]SecretInfo, error) {
	where, err := s.place.routes(token)
	if err != nil {
		return nil, s.unsent(err)
	}
	status, body, err := s.ask(ctx, call{method: http.MethodGet, url: where.list, token: token})
	if err != nil {
		return nil, err
	}
	records, ok := s.place.list(body)
	if !ok {
		return nil, s.broken(status, "answered with something else than a list of secrets")
	}
	list := make([]SecretInfo, 0, len(records))
	for _, r := range records {
		if r.ID == "" {
			return nil, s.broken(status, "lists a secret without an id")
		}
		list = append(list, r.info())
	}
	slices.SortStableFunc(list, func(a, b SecretInfo) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return list, nil
}

// Make makes one more secret, which is shown this once. Where the error is
// Unsure, there may be one that nobody has: List shows it.
func (s Secrets) Make(ctx context.Context, token vault.Secret) (SecretInfo, vault.Secret, error) {
	where, err := s.place.routes(token)
	if err != nil {
		return SecretInfo{}, vault.Secret{}, s.unsent(err)
	}
	order := s.place.order(token, s.Lifetime)
	status, body, err := s.ask(ctx, call{method: http.MethodPost, url: where.make, token: token, order: order})
	if err != nil {
		return SecretInfo{}, vault.Secret{}, err
	}
	made, broken := readMade(body)
	if broken != "" {
		err := s.broken(status, broken)
		err.Unsure = true
		return SecretInfo{}, vault.Secret{}, err
	}
	return made.info(), made.Secret.Secret, nil
}

// Delete ends the secret with that ID, at once. That there is none is an error
// (NotFound), which may also mean that something else answered: List tells.
// Tokens that the secret got stay valid until they expire.
func (s Secrets) Delete(ctx context.Context, token vault.Secret, id string) error {
	if !isID(id) {
		return s.unsent(errNoID)
	}
	where, err := s.place.routes(token)
	if err != nil {
		return s.unsent(err)
	}
	_, _, err = s.ask(ctx, call{method: http.MethodDelete, url: where.remove + id, token: token})
	return err
}
