package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"keytender/agent/api"
)

func TestSince(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"":                     {},
		"90m":                  now.Add(-90 * time.Minute),
		"7d":                   now.AddDate(0, 0, -7),
		"2026-11-20T08:00:00Z": time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC),
	} {
		if got, err := sinceTime(s, now); err != nil || !got.Equal(want) {
			t.Errorf("sinceTime(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"yesterday", "-1h", "-3d", "3"} {
		if _, err := sinceTime(s, now); err == nil {
			t.Errorf("sinceTime(%q) is taken", s)
		}
	}
}

func TestEnvironment(t *testing.T) {
	base := []string{"PATH=/bin", "CLIENT_SECRET=x", "UIPATH_ACCESS_TOKEN=old", "KEYTENDER_URL=old", "NO_PROXY=corp.example"}
	add := map[string]string{"KEYTENDER_SOCKET": "/s", "KEYTENDER_URL": "", "UIPATH_URL": "https://o"}
	got := environment(base, add, []string{"UIPATH_ACCESS_TOKEN", "CLIENT_SECRET"})
	want := []string{
		"KEYTENDER_SOCKET=/s",
		"NO_PROXY=corp.example,127.0.0.1,localhost,::1",
		"PATH=/bin",
		"UIPATH_URL=https://o",
		"no_proxy=corp.example,127.0.0.1,localhost,::1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("environment = %q, want %q", got, want)
	}
}

func TestNoProxyKeepsWhatThereIs(t *testing.T) {
	for list, want := range map[string]string{
		"":                         "127.0.0.1,localhost,::1",
		"*":                        "*",
		"a, localhost":             "a,localhost,127.0.0.1,::1",
		"127.0.0.1,localhost,::1,": "127.0.0.1,localhost,::1",
	} {
		if got := withLoopback(list); got != want {
			t.Errorf("withLoopback(%q) = %q, want %q", list, got, want)
		}
	}
}

func TestSentence(t *testing.T) {
	refused := &api.Error{Code: api.NotPaired, Description: "there is no profile", Hint: "pair one"}
	nobody := &api.Error{Code: api.Unavailable, Description: "nobody listens on /s", Hint: "start it"}
	for want, err := range map[string]*api.Error{
		"get a token: there is no profile: pair one":      refused,
		"reach the agent: nobody listens on /s: start it": nobody,
	} {
		if got := sentence(doing("get a token", err), err); got != want {
			t.Errorf("sentence = %q, want %q", got, want)
		}
	}
}

func TestTimesForPeople(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	soon, over := now.Add(52*time.Minute), now.Add(-time.Second)
	if got := untilText(&soon, now); !strings.HasSuffix(got, "(in 52 min)") {
		t.Errorf("untilText = %q", got)
	}
	if got := untilText(&over, now); got != "over" {
		t.Errorf("untilText = %q", got)
	}
	if got := untilText(nil, now); got != "" {
		t.Errorf("untilText(nil) = %q", got)
	}
	for d, want := range map[time.Duration]string{-1: "0 s", 59 * time.Second: "59 s", 90 * time.Minute: "90 min", 26 * time.Hour: "26 h", 72 * time.Hour: "3 d"} {
		if got := spanText(d); got != want {
			t.Errorf("spanText(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestTableLeavesOutEmptyColumns(t *testing.T) {
	rows := table{{"NAME", "TOKEN UNTIL", "STORE"}}
	rows.add("invoices", "", "keyring:")
	rows.add("é", "", "sealed:")
	var out strings.Builder
	rows.print(&out, "")
	want := "NAME      STORE\ninvoices  keyring:\né         sealed:\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestAuditShowsNoControlCharacters(t *testing.T) {
	var out strings.Builder
	line := `{"seq":1,"at":"2026-11-21T12:00:00Z","event":"token","uid":1000,"pid":7,"door":"unix","profile":"a\u001b[2Jb","fingerprint":"00ff"}`
	if err := printRecords(&out, strings.NewReader(line)); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b") || !strings.Contains(out.String(), "uid 1000/7 unix") {
		t.Errorf("printed %q", out.String())
	}
}
