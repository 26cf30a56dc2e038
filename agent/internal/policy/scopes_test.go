package policy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"keytender/agent/internal/policy"
)

func TestScopesAreTakenApart(t *testing.T) {
	for raw, want := range map[string][]string{
		"":                                nil,
		"OR.Jobs":                         {"OR.Jobs"},
		"b a b":                           {"b", "a", "b"},
		"openid https://x/.default !~#[]": {"openid", "https://x/.default", "!~#[]"},
		strings.TrimSpace(strings.Repeat("x ", 100)): slices.Repeat([]string{"x"}, 100),
		strings.Repeat("x", 4096):                    {strings.Repeat("x", 4096)},
	} {
		if got, err := policy.Scopes(raw); err != nil || !slices.Equal(got, want) {
			t.Errorf("%.40q: %q, %v", raw, got, err)
		}
	}
}

func TestMalformedScopesAreRefused(t *testing.T) {
	for what, raw := range map[string]string{
		"CR": "a\rb", "LF": "a\nb", "NUL": "a\x00b", "tab": "a\tb", "DEL": "a\x7f",
		"quote": `a"b`, "backslash": `a\b`, "not ASCII": "Jöbs", "not UTF-8": "a\xff",
		"only a space": " ", "space before": " a", "space after": "a ", "two spaces": "a  b",
		"101 names":  strings.TrimSpace(strings.Repeat("x ", 101)),
		"4097 bytes": strings.Repeat("x", 4097),
	} {
		got, err := policy.Scopes(raw)
		if !errors.Is(err, policy.ErrScope) || got != nil {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
}

func TestCovers(t *testing.T) {
	list := strings.Fields
	for _, row := range []struct {
		sentence   string
		have, want string
		covered    bool
	}{
		{"nothing wanted is covered by nothing", "", "", true},
		{"something wanted is not covered by nothing", "", "OR.Jobs", false},
		{"a name covers itself", "OR.Jobs", "OR.Jobs", true},
		{"the whole covers reading", "OR.Machines", "OR.Machines.Read", true},
		{"the whole covers writing", "OR.Machines", "OR.Machines.Write", true},
		{"the whole covers both halves", "OR.Machines", "OR.Machines.Write OR.Machines.Read", true},
		{"a half does not cover the whole", "OR.Machines.Read", "OR.Machines", false},
		{"two halves do not add up to the whole", "OR.Machines.Read OR.Machines.Write", "OR.Machines", false},
		{"a half does not cover the other", "OR.Machines.Read", "OR.Machines.Write", false},
		{"the whole covers no third part", "OR.Machines", "OR.Machines.Delete", false},
		{"a prefix of a word is not the whole", "OR.Machine", "OR.Machines.Read", false},
		{"a service does not cover its resources", "OR", "OR.Jobs", false},
		{"a service does not cover a half of its own", "Insights", "Insights.Read", false},
		{"a half is not cut in halves again", "Mail.Read", "Mail.Read.Write", false},
		{"three parts have no halves", "Du.A.B", "Du.A.B.Read", false},
		{"an empty part is no resource", "OR.", "OR..Read", false},
		{"an empty service is none either", ".Jobs", ".Jobs.Read", false},
		{"case counts", "or.machines", "OR.Machines.Read", false},
		{"case counts in the suffix", "OR.Machines", "OR.Machines.read", false},
		{"a star is a name like any other", "OR.*", "OR.Jobs", false},
		{"more may be had than is wanted", "OR.Jobs OR.Users", "OR.Users.Read", true},
		{"all that is wanted must be had", "OR.Jobs", "OR.Jobs OR.Users", false},
	} {
		if got := policy.Covers(list(row.have), list(row.want)); got != row.covered {
			t.Errorf("%s: %v", row.sentence, got)
		}
	}
}

func FuzzScopes(f *testing.F) {
	for _, seed := range []string{"", " ", "OR.Jobs", "OR.Machines OR.Machines.Read", "a\r\nb", "a\x00", "..", ".Read", "a..Read", `"\`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		scopes, err := policy.Scopes(raw)
		if err != nil {
			if scopes != nil || !errors.Is(err, policy.ErrScope) {
				t.Fatalf("%q: %q, %v", raw, scopes, err)
			}
			return
		}
		if strings.Join(scopes, " ") != raw || len(scopes) > 100 || strings.ContainsAny(raw, "\r\n\x00\t\"\\") {
			t.Fatalf("%q passed as %q", raw, scopes)
		}
		if !policy.Covers(scopes, scopes) {
			t.Fatalf("%q does not cover itself", raw)
		}
		for _, scope := range scopes {
			if policy.Covers([]string{scope + ".Read", scope + ".Write"}, []string{scope}) {
				t.Fatalf("halves of %q cover it", scope)
			}
			for _, whole := range []string{scope, strings.TrimSuffix(scope, ".Read"), strings.TrimSuffix(scope, ".Write")} {
				if covered := policy.Covers([]string{whole}, []string{scope}); covered && !strings.HasPrefix(scope, whole) {
					t.Fatalf("%q covers %q", whole, scope)
				}
			}
		}
	})
}
