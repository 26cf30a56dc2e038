package session

import (
	"slices"
	"strings"
)

// Key tells tokens apart: requests with equal keys share one token and one
// flight. Scopes must come from Canonical, or the same set in another order is
// another token. Subject is whose session it is, empty for the machine's own.
type Key struct {
	Profile, Subject, Scopes, Audience string
}

// Canonical writes a set of scopes in the one form that Key wants: sorted, each
// once, joined by spaces. The scopes themselves are not looked at. None is "".
func Canonical(scopes []string) string {
	sorted := slices.Sorted(slices.Values(scopes))
	return strings.Join(slices.Compact(sorted), " ")
}

// Split takes apart what Canonical wrote. "" is no scope.
func Split(scopes string) []string { return strings.Fields(scopes) }
