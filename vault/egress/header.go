package egress

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// longestWait bounds what a server can ask for in Retry-After.
const longestWait = 24 * time.Hour

// RetryAfter reads RFC 9110 §10.2.3: how long a server asks to be left alone, at
// most a day, and 0 if it does not ask or cannot be understood. A date is
// compared with the server's own clock where it shows it, else with now.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		seconds = min(max(seconds, 0), int64(longestWait/time.Second))
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date := Date(h); !date.IsZero() {
		now = date
	}
	return min(max(at.Sub(now), 0), longestWait)
}

// Date is the clock of the server that sent h; zero if it showed none.
func Date(h http.Header) time.Time {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return at
}

// IsHTML tells whether an answer says that it is a web page: no API sends one,
// and what stands before an API does.
func IsHTML(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (kind == "text/html" || kind == "application/xhtml+xml")
}
