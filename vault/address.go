package vault

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"keytender/vault/egress"
)

// address is a store's URL, taken apart.
type address struct {
	raw    string // as configured
	scheme string
	host   string   // host[:port]
	path   []string // its segments, unescaped
	query  url.Values
}

// parseAddress takes apart the URL of a store on the network and refuses what
// no such store can have. Nothing of raw but its scheme is repeated in an
// error, for it may hold a password.
func parseAddress(raw string, queries ...string) (address, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Opaque != "" || strings.ContainsFunc(raw, unicode.IsControl):
		return address{}, wrong("url", "it is no address: write scheme://host/…")
	case u.User != nil:
		return address{}, wrong("url", `it holds a user or password, which a configuration file must not: leave it out, and give the credential with "keytender secret set store/NAME"`)
	case u.Host == "" || u.Hostname() == "":
		return address{}, wrong("url", "the host is missing: write %s://host/…", u.Scheme)
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return address{}, wrong("url", `nothing may follow a "#": write %%23 where it is part of a name`)
	}
	a := address{raw: raw, scheme: u.Scheme, host: u.Host, query: u.Query()}
	if _, err := egress.CheckURL(a.server()); err != nil {
		return address{}, wrong("url", "%w", err)
	}
	for key := range a.query {
		if !slices.Contains(queries, key) {
			return address{}, wrong("url", "%q is no part of it: there are %s", key, oneOf(queries))
		}
	}
	if path := strings.Trim(u.Path, "/"); path != "" {
		a.path = strings.Split(path, "/")
	}
	for _, segment := range a.path {
		if err := checkSharedSegment(segment); err != nil {
			return address{}, wrong("url", "%w", err)
		}
	}
	return a, nil
}

// server is where the store's requests go. "azure://NAME" is a vault of the
// public cloud; with a dot or a port in it the host is taken as it is.
func (a address) server() string {
	if a.scheme == "azure" && !strings.ContainsAny(a.host, ".:") {
		return "https://" + a.host + ".vault.azure.net"
	}
	return "https://" + a.host
}

// origin is the origin of server, as RFC 6454 writes it.
func (a address) origin() string {
	u, err := url.Parse(a.server())
	if err != nil {
		return "" // parseAddress has parsed it
	}
	return egress.Origin(u)
}

func oneOf(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

const maxSharedName = 1024

// checkSharedName refuses names of entries that no vault could have, or that
// would climb out of the path they are below. Segments are separated by "/".
func checkSharedName(name string) error {
	if name == "" {
		return errors.New("an entry's name is empty")
	}
	if len(name) > maxSharedName {
		return fmt.Errorf("an entry's name has %d bytes: at most %d are allowed", len(name), maxSharedName)
	}
	for segment := range strings.SplitSeq(name, "/") {
		if err := checkSharedSegment(segment); err != nil {
			return err
		}
	}
	return nil
}

func checkSharedSegment(s string) error {
	switch {
	case s == "" || s == "." || s == "..":
		return fmt.Errorf("entry name: a part between two \"/\" must not be %q", s)
	case strings.TrimSpace(s) != s:
		return fmt.Errorf("entry name %q: a part begins or ends with a space", s)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("entry name %q: it has characters that cannot be seen", s)
	}
	return nil
}
