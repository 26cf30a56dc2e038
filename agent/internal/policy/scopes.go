package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	maxScopes     = 100
	maxScopeBytes = 4 << 10
)

// ErrScope is wrapped by every error of Scopes. What it wraps tells the place
// and the reason, and never repeats what the caller sent.
var ErrScope = errors.New("malformed scope")

// Scopes takes apart the value of a scope parameter: names of RFC 6749 §3.3
// characters (printable ASCII but space, quote and backslash), one space
// between them and none around. At most 100 names and 4 KiB; CR, LF, NUL and
// empty names are refused. The names come back as they stood, in their order;
// the empty string is no scope at all: nil, and no error.
func Scopes(raw string) ([]string, error) {
	if raw == "" {
		return nil, nil
	}
	if len(raw) > maxScopeBytes {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrScope, len(raw), maxScopeBytes)
	}
	if n := strings.Count(raw, " ") + 1; n > maxScopes {
		return nil, fmt.Errorf("%w: %d names, more than %d", ErrScope, n, maxScopes)
	}
	scopes := strings.Split(raw, " ")
	for i, scope := range scopes {
		if scope == "" {
			return nil, fmt.Errorf("%w: name %d is empty", ErrScope, i+1)
		}
		if at := strings.IndexFunc(scope, notInScope); at >= 0 {
			return nil, fmt.Errorf("%w: name %d: byte %d is not allowed", ErrScope, i+1, at+1)
		}
	}
	return scopes, nil
}

func notInScope(r rune) bool {
	return r < 0x21 || r > 0x7e || r == '"' || r == '\\'
}

// Covers tells whether every scope of want is covered by one of have: by the
// same name, or for "Service.Resource.Read" and ".Write" by "Service.Resource",
// which means both. Never the reverse, and ".Read" with ".Write" does not add
// up to the whole: a list grants what it names, and whether a provider hides a
// third right in the whole is not ours to guess. Case counts, RFC 6749 §3.3.
// Nothing wanted is covered by anything.
func Covers(have, want []string) bool {
	for _, scope := range want {
		if !slices.Contains(have, scope) && !slices.Contains(have, whole(scope)) {
			return false
		}
	}
	return true
}

// whole is the "Service.Resource" whose half the scope is; for a scope that is
// no half, the scope itself.
func whole(scope string) string {
	parts := strings.Split(scope, ".")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || !isHalf(parts[2]) || isHalf(parts[1]) {
		return scope
	}
	return parts[0] + "." + parts[1]
}

func isHalf(part string) bool { return part == "Read" || part == "Write" }
