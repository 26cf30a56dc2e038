package session

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"keytender/agent/internal/identity"
	"keytender/vault"
)

// Token is an access token as callers get it. It is shared: never change one.
// It prints as its fingerprint; the token itself comes out of Access and
// AppendJSON alone.
type Token struct {
	Type        string
	ExpiresAt   time.Time // UTC, whole seconds, rounded down
	Scope       string    // as granted, which may be other than was asked
	Profile     string
	Fingerprint string // Fingerprint of the token

	access vault.Secret
	head   vault.Secret // the answer up to the value of expires_in
	tail   string       // and from there to the last value that does not change
}

func newToken(profile string, g identity.Grant) *Token {
	t := &Token{
		Type:        g.Type,
		ExpiresAt:   g.ExpiresAt.UTC().Truncate(time.Second),
		Scope:       g.Scope,
		Profile:     profile,
		Fingerprint: Fingerprint(g.Access),
		access:      g.Access,
	}
	t.head = vault.NewSecret(`{"access_token":` + quote(g.Access.Reveal()) + `,"token_type":` + quote(t.Type) + `,"expires_in":`)
	t.tail = `,"expires_at":` + quote(t.ExpiresAt.Format(time.RFC3339)) + `,"scope":` + quote(t.Scope) +
		`,"profile":` + quote(profile) + `,"fingerprint":"` + t.Fingerprint + `"`
	return t
}

// Fingerprint names a token without giving it away: the first 16 hex digits of
// its SHA-256.
func Fingerprint(token vault.Secret) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:8])
}

// Access is the token itself.
func (t *Token) Access() vault.Secret { return t.access }

// AppendJSON appends the answer that doors give, API.md "token": expires_in in
// seconds from now, never below 0; min_valid_met only when it is false. It
// allocates nothing if dst has room.
func (t *Token) AppendJSON(dst []byte, now time.Time, minValidMet bool) []byte {
	dst = append(dst, t.head.Reveal()...)
	dst = strconv.AppendInt(dst, int64(max(0, t.ExpiresAt.Sub(now))/time.Second), 10)
	dst = append(dst, t.tail...)
	if !minValidMet {
		dst = append(dst, `,"min_valid_met":false`...)
	}
	return append(dst, '}')
}

// Format prints the fingerprint, whatever the verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "token "+t.Fingerprint) }

// quote is s as a JSON string; encoding one cannot fail.
func quote(s string) string {
	quoted, _ := json.Marshal(s)
	return string(quoted)
}
