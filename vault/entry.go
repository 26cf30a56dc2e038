package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Entry is what rests under a name.
type Entry struct {
	// Username is what is kept with the secret, such as a client id; empty
	// where nothing is. It is no secret.
	Username string
	Secret   Secret
	// Origins are where the secret may be sent, each scheme://host[:port]. The
	// agent's own stores keep them with the secret, so that nobody who edits a
	// configuration can have it sent elsewhere. A vault that is shared with
	// other programs keeps none.
	Origins []string
	// Changed is when the secret was last changed; zero where the store does
	// not say.
	Changed time.Time
	// Lease is how long the store lets the secret be kept; 0 where it does not
	// say.
	Lease time.Duration
}

// blobs is a store of the agent's own: it keeps one text under a name, and is
// read by nobody else. Its methods promise what those of Store do.
type blobs interface {
	Get(ctx context.Context, name string) (Secret, error)
	Put(ctx context.Context, name string, s Secret) error
	Delete(ctx context.Context, name string) error
	Check(ctx context.Context) error
	String() string
}

// own makes entries of the texts of a store of the agent's own.
type own struct{ blobs }

// written is the form of an entry in a store of the agent's own.
type written struct {
	Version  int      `json:"keytender"`
	Username string   `json:"username,omitempty"`
	Secret   string   `json:"secret"`
	Origins  []string `json:"origins"`
}

func (o own) Get(ctx context.Context, name string) (Entry, error) {
	text, err := o.blobs.Get(ctx, name)
	if err != nil {
		return Entry{}, err
	}
	var w written
	// The cause would quote the entry.
	if err := json.Unmarshal([]byte(text.Reveal()), &w); err != nil || w.Version != 1 || w.Secret == "" {
		return Entry{}, &Error{Store: o.String(), Op: "read " + name, Kind: ErrBroken, Why: "Keytender did not write it", Todo: "give the secret again"}
	}
	return Entry{Username: w.Username, Secret: NewSecret(w.Secret), Origins: w.Origins}, nil
}

func (o own) Put(ctx context.Context, name string, e Entry) error {
	if err := checkPut(name, e.Secret); err != nil {
		return err
	}
	if !utf8.ValidString(e.Secret.Reveal()) {
		return fmt.Errorf("store %s: the secret is not text (UTF-8)", name)
	}
	text, err := json.Marshal(written{1, e.Username, e.Secret.Reveal(), e.Origins})
	if err != nil {
		return errors.New("encode the entry " + name)
	}
	return o.blobs.Put(ctx, name, NewSecret(string(text)))
}

// Forget has nothing to forget: what is asked for is read each time.
func (own) Forget(string) {}

// Previous knows of nothing: the agent replaces its own entries itself.
func (own) Previous(string) (Entry, bool) { return Entry{}, false }

func (own) Close() error { return nil }
