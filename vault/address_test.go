package vault

import (
	"errors"
	"strings"
	"testing"
)

func TestAddressesOfSharedStores(t *testing.T) {
	for _, c := range []struct{ url, says string }{
		{"hashicorp:", "the host is missing"},
		{"hashicorp:vault.corp/kv", "write scheme://host"},
		{"hashicorp:///kv/robots", "the host is missing"},
		{"hashicorp://:8200/kv/robots", "the host is missing"},
		{"hashicorp://user:" + canary + "@vault.corp/kv", "holds a user or password"},
		{"hashicorp://" + canary + "@vault.corp/kv", "holds a user or password"},
		{"conjur://conjur.corp/a?password=" + canary, `"password" is no part of it`},
		{"cyberark-ccp://ccp.corp/App?safe=a&AppID=b", `"AppID" is no part of it: there are safe, folder`},
		{"hashicorp://vault.corp/kv#" + canary, "%23"},
		{"hashicorp://vault.corp/kv/../sys", `must not be ".."`},
		{"hashicorp://vault.corp/kv//x", `must not be ""`},
		{"hashicorp://vault.corp/kv/%2e%2e/x", `must not be ".."`},
		{"hashicorp://vault.corp/kv\r\nX: y", "it is no address"},
		{"hashicorp://váult.corp/kv", "xn--"},
		{"hashicorp://vault.corp:99999999/kv/%zz", "it is no address"},
	} {
		scheme, _, _ := strings.Cut(c.url, ":")
		_, err := parseAddress(c.url, queriesOf[scheme]...)
		bad, ok := errors.AsType[*ConfigError](err)
		if !ok || bad.Field != "url" || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, want one about the url that says %q", c.url, err, c.says)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("%q: the error repeats a secret: %v", c.url, err)
		}
	}
	for url, want := range map[string]string{
		"hashicorp://vault.corp:8200/kv": "https://vault.corp:8200",
		"hashicorp://VAULT.corp:443/kv":  "https://vault.corp",
		"hashicorp://[::1]:8200/kv":      "https://[::1]:8200",
		"azure://acme-robots":            "https://acme-robots.vault.azure.net",
		"azure://acme.vault.azure.cn/":   "https://acme.vault.azure.cn",
		"azure://127.0.0.1:8443":         "https://127.0.0.1:8443",
	} {
		if got, err := (Config{URL: url}).Origin(); err != nil || got != want {
			t.Errorf("the origin of %s is %s, %v", url, got, err)
		}
	}
}

// FuzzSharedName: no name leads out of the path that it is below, and none
// steers a terminal or ends a line.
func FuzzSharedName(f *testing.F) {
	for _, seed := range []string{"a/b", "../a", "a/../../b", "%2e%2e/a", "a//b", "", "/", "Größe 日本", "a\x00", "a\r\nb", "\u202ea", "a?b#c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if checkSharedName(name) != nil {
			return
		}
		for segment := range strings.SplitSeq(name, "/") {
			if segment == "" || segment == "." || segment == ".." {
				t.Fatalf("%q is taken", name)
			}
		}
		if strings.ContainsAny(name, "\x00\r\n\u202e\u2028") {
			t.Fatalf("%q is taken", name)
		}
	})
}

// FuzzAddress: whatever is written as an address, its error holds nothing of
// what could be a password, and what is taken stays on its host.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"hashicorp://h/kv", "hashicorp://u:p@h/kv", "azure://n", "cyberark-ccp://h/a?safe=s", "conjur://h/a/%2e%2e", "conjur://h\\@x/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		at, err := parseAddress(raw, "safe")
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Fatalf("%q: control characters in %q", raw, err)
			}
			return
		}
		if at.origin() == "" || strings.Contains(at.origin(), "@") {
			t.Fatalf("%q has the origin %q", raw, at.origin())
		}
	})
}
