package door

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestTokenRequestIsReadStrictly(t *testing.T) {
	got, bad := readTokenRequest("profile=invoices&scope=OR.Jobs%20OR.Queues+x&min_valid=90&wait=1m30s&rejected=0123456789abcdef")
	want := TokenRequest{Profile: "invoices", Scope: "OR.Jobs OR.Queues x", MinValid: 90 * time.Second, Wait: 90 * time.Second, Rejected: "0123456789abcdef"}
	if bad != nil || got != want {
		t.Errorf("%+v, %v", got, bad)
	}
	for query, field := range map[string]string{
		"profile=a&profile=a": "profile",
		"profile=a%0d%0aX:y":  "profile",
		"profile=a%00":        "profile",
		"profile=a%0A":        "profile",
		"profile=%zz":         "profile",
		"profile=%ff":         "profile",
		"profile=" + strings.Repeat("x", longestValue+1): "profile",
		"scope=" + strings.Repeat("x", longestScope+1):   "scope",
		"scope=a%0Ab":                    "scope",
		"scope=a&scope=":                 "scope",
		"min_valid=-1s":                  "min_valid",
		"min_valid=soon":                 "min_valid",
		"min_valid=":                     "min_valid",
		"min_valid=99999999999999999999": "min_valid",
		"wait=5m1s":                      "wait",
		"wait=301":                       "wait",
		"wait=-0.5":                      "wait",
		"rejected=0123456789ABCDEF":      "rejected",
		"rejected=0123":                  "rejected",
		"rejected=":                      "rejected",
		"rejected=0123456789abcdef0":     "rejected",
		"audience=x":                     "audience",
		"Profile=x":                      "",
		"=x":                             "",
		"pro%66ile=a&profile=a":          "profile",
		"x%0d=1":                         "",
		strings.Repeat("a", 40) + "=1":   "",
	} {
		if got, bad := readTokenRequest(query); bad == nil || bad.Field != field || bad.Code != "invalid_request" {
			t.Errorf("%.60q: %+v, %+v", query, got, bad)
		}
	}
}

// FuzzQuery: what is accepted is read as net/url reads it, and holds nothing
// that could break a line.
func FuzzQuery(f *testing.F) {
	for _, query := range []string{"", "profile=a", "profile=a&scope=b+c%20d", "&&profile", "min_valid=1h&wait=0", "profile=%0d", "scope=;", "profile=a=b", "rejected=0123456789abcdef"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		got, bad := readTokenRequest(query)
		if bad != nil {
			if strings.ContainsAny(bad.Error()+bad.Field, "\r\n\x00") {
				t.Errorf("%q: %q", query, bad)
			}
			return
		}
		if strings.ContainsAny(got.Profile+got.Scope+got.Rejected, "\r\n\x00") || got.Wait < 0 || got.Wait > longestWait || got.MinValid < 0 {
			t.Errorf("%q: accepted %+v", query, got)
		}
		if strings.Contains(query, ";") {
			return // net/url refuses it; here it is a character like others
		}
		said, err := url.ParseQuery(query)
		if err != nil || said.Get("profile") != got.Profile || said.Get("scope") != got.Scope || said.Get("rejected") != got.Rejected {
			t.Errorf("%q: %+v, and net/url reads %v, %v", query, got, said, err)
		}
	})
}
