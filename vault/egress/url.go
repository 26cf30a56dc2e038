package egress

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// maxURL is how long an address may be, in bytes.
const maxURL = 2 << 10

// CheckURL parses an address that people configure or a server names: absolute,
// https (or http to loopback), without user information, query and fragment, at
// most 2 KiB of printable ASCII, its host a DNS name or an IP address. An
// international name has to be in its xn-- form, so that no two addresses look
// alike. Its errors do not repeat raw, which may hold a password.
func CheckURL(raw string) (*url.URL, error) {
	if len(raw) > maxURL {
		return nil, errors.New("the URL is longer than 2 KiB")
	}
	if strings.ContainsFunc(raw, func(c rune) bool { return c < ' ' || c > '~' }) {
		return nil, errors.New("the URL must be printable ASCII: write a name's other letters in the xn-- form, a path's percent-encoded")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("the URL must begin with https://")
	case u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("the URL names no host")
	case !isHost(u.Hostname()):
		return nil, errors.New("the URL's host is no DNS name: write an international one in its xn-- form")
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

// isHost tells whether a URL's decoded host name is an IP address without a zone,
// or has a DNS name's letters and length.
func isHost(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Zone() == "" // a zone is one machine's own, and needs escaping
	}
	foreign := func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_')
	}
	return len(host) <= 254 && !strings.ContainsFunc(host, foreign)
}

// Origin is the scheme, host and port of u as RFC 6454 §6.2 writes them: lower
// case, without the scheme's own port. Two URLs with the same Origin reach the
// same server as far as secrets are concerned. It may be shown if CheckURL let u
// pass.
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
