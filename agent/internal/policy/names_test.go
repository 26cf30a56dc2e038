package policy_test

import (
	"errors"
	"strings"
	"testing"

	"keytender/agent/internal/policy"
)

func TestProfileNames(t *testing.T) {
	for _, name := range []string{"a", "7", "invoices", "a.b-c_d", "x..y", strings.Repeat("n", 64)} {
		if err := policy.CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"", ".", "..", "-x", "_x", ".hidden", "Invoices", "a b", "a/b", `a\b`, "a:b", "a%2e", "é", "a\r", "a\n", "\n", "a\x00b", "a\xff",
		strings.Repeat("n", 65),
	} {
		err := policy.CheckName(name)
		if !errors.Is(err, policy.ErrName) {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if strings.ContainsAny(err.Error(), "\r\n\x00") {
			t.Errorf("%q: the error repeats it: %q", name, err)
		}
	}
}

func FuzzCheckName(f *testing.F) {
	for _, seed := range []string{"", "invoices", "..", "a/b", "a\r\nb", "a\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if policy.CheckName(name) != nil {
			return
		}
		const allowed = "abcdefghijklmnopqrstuvwxyz0123456789-_."
		if name == "" || len(name) > 64 || strings.Trim(name, allowed) != "" || strings.Contains("-_.", name[:1]) {
			t.Fatalf("%q passed", name)
		}
	})
}
