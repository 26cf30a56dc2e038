package orchestrator

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"keytender/vault"
)

// record is a secret as both administrations list it. What is there and cannot
// be read is as if it were not.
type record struct {
	ID      number `json:"id"`
	Created moment `json:"creationTime"`
	Expires moment `json:"expiryTime"`
}

func (r record) info() SecretInfo {
	return SecretInfo{ID: string(r.ID), CreatedAt: r.Created.Time, ExpiresAt: r.Expires.Time}
}

// madeRecord is the one answer with the secret in it.
type madeRecord struct {
	record
	Secret concealed `json:"secret"`
}

// maxSecret is how long a made secret may be, in bytes.
const maxSecret = 4 << 10

// readMade reads the answer of make, or says what is wrong with it in words that
// follow the server's name.
func readMade(body []byte) (made madeRecord, broken string) {
	switch {
	case json.Unmarshal(body, &made) != nil:
		return madeRecord{}, "answered with something else than a secret"
	case made.Secret.IsZero():
		return madeRecord{}, "answered without the secret"
	case len(made.Secret.Reveal()) > maxSecret:
		return madeRecord{}, "answered with a secret larger than 4 KiB"
	case made.ID == "":
		return madeRecord{}, "answered with a secret without an id"
	}
	return made, ""
}

// concealed is a secret from the moment it is decoded.
type concealed struct{ vault.Secret }

// UnmarshalJSON takes a string, or null for none.
func (c *concealed) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		return errors.New("the secret is no string") // encoding/json's error could quote it
	}
	c.Secret = vault.NewSecret(text)
	return nil
}

// number is an id; "" if it was none. Some servers quote large numbers.
type number string

func (n *number) UnmarshalJSON(b []byte) error {
	if text := strings.Trim(string(b), `"`); isID(text) {
		*n = number(text)
	}
	return nil
}

// moment is a time; zero if it was none.
type moment struct{ time.Time }

// UnmarshalJSON takes RFC 3339, and the same without a zone, which means UTC.
func (m *moment) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if at, err := time.Parse(layout, text); err == nil {
			m.Time = at.UTC()
		}
	}
	return nil
}

// isID tells whether text is a 64-bit number as a URL's path may have it.
func isID(text string) bool {
	foreign := func(c rune) bool { return c < '0' || c > '9' }
	return text != "" && len(text) <= 19 && !strings.ContainsFunc(text, foreign)
}

// isClientID tells whether text can be a part of a URL's path as it stands, and
// none that climbs. The vendor's client ids are GUIDs.
func isClientID(text string) bool {
	foreign := func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-_.", c))
	}
	return text != "" && text[0] != '.' && len(text) <= 128 && !strings.ContainsFunc(text, foreign)
}
