package egress

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for name, c := range map[string]struct {
		value, date string
		want        time.Duration
	}{
		"seconds":                    {"7", "", 7 * time.Second},
		"seconds in spaces":          {" 7 ", "", 7 * time.Second},
		"none":                       {"", "", 0},
		"less than none":             {"-7", "", 0},
		"absurd":                     {"99999999999", "", 24 * time.Hour},
		"more than a number":         {"99999999999999999999", "", 0},
		"no time at all":             {"soon", "", 0},
		"a date":                     {at(time.Minute), "", time.Minute},
		"a date that has passed":     {at(-time.Minute), "", 0},
		"a date far away":            {at(48 * time.Hour), "", 24 * time.Hour},
		"a date by another clock":    {at(-time.Hour), at(-time.Hour - time.Minute), time.Minute},
		"a date and a broken clock":  {at(time.Minute), "now", time.Minute},
		"seconds by another clock":   {"7", at(-time.Hour), 7 * time.Second},
		"a date that the clock left": {at(time.Minute), at(time.Hour), 0},
	} {
		h := http.Header{"Retry-After": {c.value}, "Date": {c.date}}
		if got := RetryAfter(h, now); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if got := RetryAfter(nil, now); got != 0 {
		t.Errorf("no header: %v", got)
	}
}

func TestIsHTML(t *testing.T) {
	for kind, want := range map[string]bool{
		"text/html": true, "text/html; charset=utf-8": true, "TEXT/HTML": true, "application/xhtml+xml": true,
		"application/json": false, "text/plain": false, "": false, ";": false,
	} {
		if got := IsHTML(http.Header{"Content-Type": {kind}}); got != want {
			t.Errorf("%q: %v", kind, got)
		}
	}
}
