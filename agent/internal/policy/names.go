package policy

import (
	"errors"
	"fmt"
)

const maxName = 64

// ErrName is wrapped by every error of CheckName.
var ErrName = errors.New("not a profile name")

// CheckName tells whether a profile may be called so: 1 to 64 lower-case ASCII
// letters, digits, hyphens, underscores and dots, of which the first is a
// letter or digit. Such a name is safe in a path, an entry of a store, a
// header, a log line and on a command line. The error does not repeat the
// name, which may hold anything.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: empty", ErrName)
	case len(name) > maxName:
		return fmt.Errorf("%w: %d bytes, more than %d", ErrName, len(name), maxName)
	case !isAlphanumeric(name[0]):
		return fmt.Errorf("%w: must begin with a lower-case letter or a digit", ErrName)
	}
	for i := range len(name) {
		if c := name[i]; !isAlphanumeric(c) && c != '-' && c != '_' && c != '.' {
			return fmt.Errorf("%w: byte %d: only lower-case letters, digits, -, _ and . are allowed", ErrName, i+1)
		}
	}
	return nil
}

func isAlphanumeric(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
