package door

import (
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"keytender/agent/api"
)

const (
	longestValue = 256             // bytes of a parameter …
	longestScope = 4 << 10         // … and of scope
	longestWait  = 5 * time.Minute // for a person
	longestValid = 10 * 365 * 24 * time.Hour
)

// each calls take with the parameters of a query in their order. Nothing is
// copied unless it has escapes. Malformed escapes, control characters, what is
// not UTF-8, values that are too long and empty names are refused.
func each(query string, take func(name, value string) *api.Error) *api.Error {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, ok := unescape(name)
		if !ok || !isPlain(name) {
			return wrong("", "a parameter has a malformed name")
		}
		value, ok = unescape(value)
		switch {
		case !ok:
			return wrong(name, "a malformed escape")
		case len(value) > longestScope || len(value) > longestValue && name != "scope":
			return wrong(name, "too long")
		case !isText(value):
			return wrong(name, "control characters, or not UTF-8")
		}
		if err := take(name, value); err != nil {
			return err
		}
	}
	return nil
}

func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, true
	}
	plain, err := url.QueryUnescape(s)
	return plain, err == nil
}

// isPlain tells whether a parameter's name can be repeated in an answer.
func isPlain(name string) bool {
	for i := range len(name) {
		if c := name[i]; c != '_' && (c < 'a' || c > 'z') {
			return false
		}
	}
	return name != "" && len(name) <= 32
}

func isText(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}

func wrong(field, what string) *api.Error {
	e := &api.Error{Code: api.InvalidRequest, Field: field, Description: what}
	if field != "" {
		e.Description = field + ": " + what
	}
	return e
}

// parameters takes the named parameters of a query, each at most once, and
// refuses all others.
func parameters(query string, names ...string) (map[string]string, *api.Error) {
	values := make(map[string]string)
	err := each(query, func(name, value string) *api.Error {
		for _, known := range names {
			if name != known {
				continue
			}
			if _, twice := values[name]; twice {
				return wrong(name, "given twice")
			}
			values[name] = value
			return nil
		}
		return wrong(name, "unknown here")
	})
	return values, err
}

// TokenRequest is a request for a token, as the door has read it.
type TokenRequest struct {
	Profile  string        // empty: the default profile
	Scope    string        // as sent: text without control characters, at most 4 KiB
	MinValid time.Duration // not negative
	Wait     time.Duration // from 0 to 5 min
	Rejected string        // empty, or 16 lower-case hexadecimal digits
	Door     string        // where it came in: "unix" or "tcp"
}

// readTokenRequest reads the query of /v1/token.
func readTokenRequest(query string) (TokenRequest, *api.Error) {
	var r TokenRequest
	seen := 0
	err := each(query, func(name, value string) *api.Error {
		var bit int
		var bad string
		switch name {
		case "profile":
			bit, r.Profile = 1, value
		case "scope":
			bit, r.Scope = 2, value
		case "min_valid":
			bit = 4
			r.MinValid, bad = duration(value, longestValid)
		case "wait":
			bit = 8
			r.Wait, bad = duration(value, longestWait)
		case "rejected":
			bit, r.Rejected = 16, value
			if !isFingerprint(value) {
				bad = "not the first 16 hexadecimal digits of a token's SHA-256"
			}
		default:
			return wrong(name, "unknown here")
		}
		if seen&bit != 0 {
			bad = "given twice"
		}
		if seen |= bit; bad != "" {
			return wrong(name, bad)
		}
		return nil
	})
	return r, err
}

// duration reads "90s", "1h30m" or a number of seconds, from 0 to most.
func duration(s string, most time.Duration) (_ time.Duration, bad string) {
	d, err := time.ParseDuration(s)
	if seconds, notNumber := strconv.ParseUint(s, 10, 32); notNumber == nil {
		d, err = time.Duration(seconds)*time.Second, nil
	}
	switch {
	case err != nil:
		return 0, `not a duration: write it like "90s" or as a number of seconds`
	case d < 0 || d > most:
		return 0, "not between 0 and " + most.String()
	}
	return d, ""
}

func isFingerprint(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 16
}
