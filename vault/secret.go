package vault

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
)

// redacted is what every printer gets instead of a secret.
const redacted = "[secret]"

// Secret is a value that must not be seen: it prints, logs and encodes as
// "[secret]", and Reveal is the only way to its text. The zero value is the
// empty secret. A Secret is immutable, may be copied, and may be used by many
// goroutines.
//
// It holds a pointer because fmt cannot call methods on unexported fields: a
// struct that hides a Secret prints an address there, not the text. Two
// secrets are compared with Equal; == compares addresses and means nothing.
type Secret struct{ value *string }

// NewSecret wraps s.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{&s}
}

// Reveal returns the text. Call it where the text is sent or sealed, not before.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.value == nil }

// Equal compares in a time that depends on the lengths alone.
func (s Secret) Equal(t Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(t.Reveal())) == 1
}

// Format prints "[secret]" for every verb and flag.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// String returns "[secret]".
func (Secret) String() string { return redacted }

// GoString returns "[secret]".
func (Secret) GoString() string { return redacted }

// LogValue logs "[secret]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText encodes "[secret]": YAML, XML and map keys use it.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON encodes "[secret]".
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// UnmarshalText always fails: a secret never travels inside a document, and
// "[secret]" must not be taken for one.
func (*Secret) UnmarshalText([]byte) error {
	return errors.New("a secret is not read from a document")
}

// UnmarshalJSON always fails, as UnmarshalText does.
func (s *Secret) UnmarshalJSON(b []byte) error { return s.UnmarshalText(b) }
