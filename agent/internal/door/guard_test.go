package door

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"keytender/agent/api"
	"keytender/agent/internal/peer"
)

// TestRequestsThatWereNotMeantForUs sends, over a raw connection, what a web
// page, another host name, a forwarder or a client without the header could.
// PORT stands for the door's.
func TestRequestsThatWereNotMeantForUs(t *testing.T) {
	const (
		h  = "Host: 127.0.0.1:PORT\r\n"
		ok = "Keytender: 1\r\n"
	)
	rows := []struct{ what, request, code string }{
		{"a page by fetch, no CORS", h + "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n", "bad_origin"},
		{"a page that could set the header", h + ok + "Origin: https://evil.example\r\n", "bad_origin"},
		{"a sandboxed frame", h + ok + "Origin: null\r\n", "bad_origin"},
		{"a page of another loopback server", h + ok + "Origin: http://127.0.0.1:8000\r\n", "bad_origin"},
		{"a page of this very origin", h + ok + "Origin: http://127.0.0.1:PORT\r\n", "bad_origin"},
		{"an empty origin", h + ok + "Origin:\r\n", "bad_origin"},
		{"an image or a link", h + "Referer: https://evil.example/\r\n", "bad_origin"},
		{"an image, with the header", h + ok + "referer: https://evil.example/\r\n", "bad_origin"},
		{"a cross-site fetch", h + ok + "Sec-Fetch-Site: cross-site\r\n", "bad_origin"},
		{"a same-site fetch", h + ok + "Sec-Fetch-Site: same-site\r\n", "bad_origin"},
		{"a same-origin fetch", h + ok + "Sec-Fetch-Site: same-origin\r\n", "bad_origin"},
		{"one of two says cross-site", h + ok + "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n", "bad_origin"},
		{"DNS rebinding", "Host: evil.example:PORT\r\n" + ok, "bad_host"},
		{"a name that begins like us", "Host: 127.0.0.1.evil.example:PORT\r\n" + ok, "bad_host"},
		{"a name that ends like us", "Host: evil.localhost:PORT\r\n" + ok, "bad_host"},
		{"a final dot", "Host: localhost.:PORT\r\n" + ok, "bad_host"},
		{"mixed case", "Host: LocalHost:PORT\r\n" + ok, "bad_host"},
		{"no port", "Host: 127.0.0.1\r\n" + ok, "bad_host"},
		{"another port", "Host: 127.0.0.1:1\r\n" + ok, "bad_host"},
		{"a port with a zero before", "Host: 127.0.0.1:0PORT\r\n" + ok, "bad_host"},
		{"the other family", "Host: [::1]:PORT\r\n" + ok, "bad_host"},
		{"another loopback address", "Host: 127.0.0.2:PORT\r\n" + ok, "bad_host"},
		{"another spelling", "Host: 127.1:PORT\r\n" + ok, "bad_host"},
		{"another number", "Host: 2130706433:PORT\r\n" + ok, "bad_host"},
		{"all addresses", "Host: 0.0.0.0:PORT\r\n" + ok, "bad_host"},
		{"mapped", "Host: [::ffff:127.0.0.1]:PORT\r\n" + ok, "bad_host"},
		{"user information", "Host: x@127.0.0.1:PORT\r\n" + ok, ""},
		{"an empty host", "Host:\r\n" + ok, "bad_host"},
		{"two hosts", h + "Host: evil.example\r\n" + ok, ""},
		{"two equal hosts", h + h + ok, ""},
		{"no host", ok, ""},
		{"a folded header", h + " x\r\n" + ok, ""},
		{"a reverse proxy", h + ok + "X-Forwarded-For: 192.0.2.1\r\n", "bad_origin"},
		{"a reverse proxy that tells the host", h + ok + "x-forwarded-host: 127.0.0.1\r\n", "bad_origin"},
		{"any such header", h + ok + "X-Forwarded-Whatever: 1\r\n", "bad_origin"},
		{"RFC 7239", h + ok + "Forwarded: for=192.0.2.1\r\n", "bad_origin"},
		{"a proxy", h + ok + "Via: 1.1 corp\r\n", "bad_origin"},
		{"no header", h, "missing_header"},
		{"another value", h + "Keytender: 2\r\n", "missing_header"},
		{"an empty value", h + "Keytender:\r\n", "missing_header"},
		{"a list", h + "Keytender: 1, 1\r\n", "missing_header"},
		{"given twice", h + ok + ok, "missing_header"},
	}
	var lookups atomic.Int32
	s := NewWorkload(workload(t), Options{Caller: func(c net.Conn) (peer.Caller, error) {
		lookups.Add(1)
		return ourselves(c)
	}})
	addr := onTCP(t, s)
	_, port, _ := net.SplitHostPort(addr)
	counted := uint64(0)
	for _, row := range rows {
		t.Run(row.what, func(t *testing.T) {
			raw := strings.ReplaceAll("GET /v1/token HTTP/1.1\r\n"+row.request+"\r\n", "PORT", port)
			answer, body := say(t, "tcp", addr, raw)
			mustBeRefused(t, answer, body, row.code)
		})
		if row.code != "" {
			counted++
		}
	}
	for _, first := range []string{
		"GET http://127.0.0.1:PORT/v1/token HTTP/1.1", "GET http://evil.example/v1/token HTTP/1.1", "GET //127.0.0.1:PORT/v1/token HTTP/1.1",
		"CONNECT 127.0.0.1:PORT HTTP/1.1", "OPTIONS * HTTP/1.1", "GET /v1/token HTTP/1.0\r\nX: y",
	} {
		host := h
		if strings.Contains(first, "1.0") {
			host = ""
		}
		raw := strings.ReplaceAll(first+"\r\n"+host+ok+"\r\n", "PORT", port)
		answer, body := say(t, "tcp", addr, raw)
		if strings.HasPrefix(first, "GET //") {
			mustBeRefused(t, answer, body, "not_found")
			continue
		}
		mustBeRefused(t, answer, body, "bad_host")
		counted++
	}
	if n := s.Refused(); n != counted {
		t.Errorf("counted %d, want %d", n, counted)
	}
	if n := lookups.Load(); n != 0 {
		t.Errorf("%d callers were looked up", n)
	}
}

// mustBeRefused takes an empty code for what net/http refuses by itself.
func mustBeRefused(t *testing.T, answer *http.Response, body, code string) {
	t.Helper()
	if answer.StatusCode/100 != 4 || strings.Contains(body, "access_token") {
		t.Errorf("answered %s: %s", answer.Status, body)
	}
	if code != "" && !strings.HasPrefix(body, `{"error":"`+code+`"`) {
		t.Errorf("got %s, want %s", body, code)
	}
	for name := range answer.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("answers CORS: %s", name)
		}
	}
}

func TestRequestsThatWereMeantForUs(t *testing.T) {
	addr := onTCP(t, NewWorkload(workload(t), Options{Caller: ourselves}))
	_, port, _ := net.SplitHostPort(addr)
	for _, more := range []string{"", "Sec-Fetch-Site: none\r\n", "User-Agent: curl\r\nAccept: */*\r\n", "X-Custom: y\r\n"} {
		for _, host := range []string{"127.0.0.1", "localhost"} {
			answer, body := say(t, "tcp", addr, "GET /v1/token HTTP/1.1\r\nHost: "+host+":"+port+"\r\nkeytender: 1\r\n"+more+"\r\n")
			if answer.StatusCode != http.StatusOK || !strings.Contains(body, "access_token") {
				t.Errorf("%s %q: %s %s", host, more, answer.Status, body)
			}
		}
	}
}

func TestPreflightGetsNoHelp(t *testing.T) {
	addr := onTCP(t, NewWorkload(workload(t), Options{Caller: ourselves}))
	for _, more := range []string{
		"Origin: https://evil.example\r\nAccess-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: keytender\r\nAccess-Control-Request-Private-Network: true\r\n",
		"Keytender: 1\r\n",
	} {
		answer, body := say(t, "tcp", addr, "OPTIONS /v1/token HTTP/1.1\r\nHost: "+addr+"\r\n"+more+"\r\n")
		mustBeRefused(t, answer, body, "")
	}
}

func TestSixthFamily(t *testing.T) {
	g := newGuard(netip.MustParseAddrPort("[::1]:15398"), new(atomic.Uint64))
	for host, own := range map[string]bool{
		"[::1]:15398": true, "localhost:15398": true, "127.0.0.1:15398": false, "::1:15398": false,
		"[0:0:0:0:0:0:0:1]:15398": false, "[::1%25lo]:15398": false, "[::1]": false, "[::1]:15399": false,
	} {
		if g.isOwn(host) != own {
			t.Errorf("%q: own is %v", host, !own)
		}
	}
}

// FuzzHostGuard: whatever Host a request carries, only two spellings pass, and
// each of them leads here.
func FuzzHostGuard(f *testing.F) {
	const port = 15398
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "LOCALHOST", "127.0.0.1.evil.example", "localhost.", "127.1", "0x7f.1", "x@127.0.0.1", "127.0.0.1:15398:15398", "127.0.0.1%00", "ｌocalhost"} {
		f.Add(host)
		f.Add(fmt.Sprintf("%s:%d", host, port))
	}
	g := newGuard(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), new(atomic.Uint64))
	f.Fuzz(func(t *testing.T, host string) {
		r := &http.Request{Method: http.MethodGet, Host: host, RequestURI: "/v1/token", Header: http.Header{header: {headerValue}}}
		passed := g.check(r) == nil
		name, at, err := net.SplitHostPort(host)
		leadsHere := err == nil && at == "15398" && (name == "127.0.0.1" || name == "localhost")
		if passed && !leadsHere {
			t.Errorf("%q passed", host)
		}
		if refusal := g.judge(r); !passed && refusal.Code != api.BadHost {
			t.Errorf("%q: %v", host, refusal)
		}
	})
}
