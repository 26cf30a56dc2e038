package egress

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// CheckURL parses an address that people configure: absolute, https (or http to
// loopback), without user information, query and fragment. Its errors do not
// repeat raw, which may hold a password.
func CheckURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("the URL must begin with https://")
	case u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("the URL names no host")
	case u.User != nil:
		return nil, errors.New("the URL must not hold a user name or password")
	case u.RawQuery != "" || u.ForceQuery:
		return nil, errors.New("the URL must end before the question mark")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return nil, errors.New("the URL must end before the #")
	case u.Scheme == "http" && !IsLoopback(u.Hostname()):
		return nil, &PlaintextError{Host: u.Host}
	}
	return u, nil
}

// Origin is the scheme, host and port of u as RFC 6454 §6.2 writes them: lower
// case, without the scheme's own port. Two URLs with the same Origin reach the
// same server as far as secrets are concerned.
func Origin(u *url.URL) string {
	scheme, host, port := strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port == "" || scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return scheme + "://" + host
	}
	return scheme + "://" + host + ":" + port
}

// IsLoopback tells whether a URL's host name means this machine by itself:
// localhost, 127.0.0.0/8 or ::1. No name is looked up; over plain http the
// address dialled is checked as well.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}
