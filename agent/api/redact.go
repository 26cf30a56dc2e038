package api

import (
	"fmt"
	"log/slog"
)

const redacted = "[secret]"

// Format prints the token with "[secret]" in the place of the token itself,
// whatever the verb.
func (t Token) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{%s %s for %s until %s}", redacted, t.Fingerprint, t.Profile, t.ExpiresAt)
}

// LogValue is the token for a log: its fingerprint.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.Fingerprint) }

// Format prints the pairing without its secret, whatever the verb.
func (p Pairing) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{%s %s client %s at %s %s}", p.Kind, p.Name, p.ClientID, p.URL, redacted)
}

// LogValue is the pairing for a log, without its secret.
func (p Pairing) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(p)) }

// Format prints "[secret]", whatever the verb.
func (SecretChange) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// LogValue is "[secret]".
func (SecretChange) LogValue() slog.Value { return slog.StringValue(redacted) }
