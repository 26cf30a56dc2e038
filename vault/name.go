package vault

import (
	"errors"
	"fmt"
	"strings"
)

const (
	maxName   = 128     // the longest name that fits a keyring's and a file's limits
	maxSecret = 1 << 20 // far above any key or certificate, far below what could hurt
)

// CheckName reports whether name can be an entry's name:
//
//	name    = segment *( "/" segment )       at most 128 bytes
//	segment = ( a-z / 0-9 ) *( a-z / 0-9 / "-" / "_" / "." )
//
// and ".." occurs nowhere. So no name is a path out of a directory, differs
// from another in case only, or carries a control character. Names that begin
// with "_" are the package's own.
func CheckName(name string) error {
	if name == "" {
		return errors.New("an entry's name is empty")
	}
	if len(name) > maxName {
		return fmt.Errorf("an entry's name has %d bytes: at most %d are allowed", len(name), maxName)
	}
	if strings.Contains(name, "..") {
		return fmt.Errorf(`entry name %q: ".." is not allowed`, name)
	}
	for segment := range strings.SplitSeq(name, "/") {
		if !isSegment(segment) {
			return fmt.Errorf("entry name %q: use lower-case letters, digits, \"-\", \"_\" and \".\", "+
				"in parts that begin with a letter or digit and are separated by one \"/\"", name)
		}
	}
	return nil
}

func isSegment(s string) bool {
	if s == "" || !isLower(s[0]) && !isDigit(s[0]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLower(c) && !isDigit(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func checkPut(name string, s Secret) error {
	if err := CheckName(name); err != nil {
		return err
	}
	return checkSecret(name, s)
}

func checkSecret(name string, s Secret) error {
	switch n := len(s.Reveal()); {
	case n == 0:
		return fmt.Errorf("store %s: the secret is empty", name)
	case n > maxSecret:
		return fmt.Errorf("store %s: the secret has %d bytes: at most %d are allowed", name, n, maxSecret)
	}
	return nil
}
