package egress

import (
	"net/url"
	"strings"
	"testing"
)

func TestCheckURL(t *testing.T) {
	for raw, ok := range map[string]bool{
		"https://host/a/b":          true,
		"https://host:8443":         true,
		"http://127.0.0.1:80/a":     true,
		"http://[::1]:80/a":         true,
		"http://LOCALHOST/a":        true,
		"http://host/a":             false,
		"ftp://host/a":              false,
		"host/a":                    false,
		"https://":                  false,
		"https:host":                false,
		"https://u:canary@host/":    false,
		"https://host/?canary=1":    false,
		"https://host/?":            false,
		"https://host/#":            false,
		"https://ho\r\nst/canary":   false,
		"https://host:canary/":      false,
		"":                          false,
		"http://127.0.0.1.evil.com": false,
		"https://[2001:db8::1]/":    true,
		"https://xn--bcher-kva.de/": true,
		"https://under_score.corp/": true,
		"https://host/a%e2%80%ae":   true,
		"https://b\u00fccher.de/":   false,
		"https://b%c3%bccher.de/":   false,
		"https://a\u202ecanary.de/": false,
		"https://host/canary\u202e": false,
		"https://host/canary\u009b": false,
		"https://ho<canary>st/":     false,
		"https://ho st/canary":      false,
		"https://[::1%25canary]/":   false,
		"https://host/canary" + strings.Repeat("a", 2<<10): false,
		"https://" + strings.Repeat("a", 255) + "/canary":  false,
	} {
		_, err := CheckURL(raw)
		if (err == nil) != ok {
			t.Errorf("%q: %v", raw, err)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%q is repeated: %v", raw, err)
		}
	}
}

func TestOrigin(t *testing.T) {
	for raw, want := range map[string]string{
		"https://Host.Example:443/a":  "https://host.example",
		"https://host:8443/a":         "https://host:8443",
		"http://[::1]:80/":            "http://[::1]",
		"http://127.0.0.1:1234//a?b#": "http://127.0.0.1:1234",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := Origin(u); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, raw := range []string{"https://host/a", "http://localhost", "http://[::1%25lo]/", "https://h\x00"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := CheckURL(raw)
		if err != nil {
			return
		}
		if u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Hostname() == "" {
			t.Errorf("%q passed", raw)
		}
		if u.Scheme == "http" && !IsLoopback(u.Hostname()) {
			t.Errorf("%q passed without TLS", raw)
		}
		for _, text := range []string{u.String(), u.Host, Origin(u)} {
			if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' }) {
				t.Errorf("%q may be shown as %q", raw, text)
			}
		}
		if again, err := url.Parse(Origin(u)); err != nil || Origin(again) != Origin(u) {
			t.Errorf("%q has the origin %q: %v", raw, Origin(u), err)
		}
	})
}
