package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keytender/agent/orchestratortest"
)

// proxied counts the connections to the proxy that the environment names here.
// net/http reads the environment once a process, so it is set before any test.
var proxied atomic.Int64

func TestMain(m *testing.M) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxied.Add(1)
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		os.Setenv(name, proxy.URL)
	}
	os.Unsetenv("NO_PROXY")
	os.Unsetenv("no_proxy")
	os.Exit(m.Run())
}

func newClient(t *testing.T, o Options) *http.Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func newServer(t *testing.T, o orchestratortest.Options) *orchestratortest.Server {
	t.Helper()
	s := orchestratortest.New(o)
	t.Cleanup(s.Close)
	return s
}

// post sends a secret, reads the whole answer and returns what went wrong.
func post(t *testing.T, c *http.Client, to string) ([]byte, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", to, strings.NewReader("client_secret=canary"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

func TestRedirectIsNotFollowed(t *testing.T) {
	for _, status := range redirects {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			from, other := newServer(t, orchestratortest.Options{}), newServer(t, orchestratortest.Options{})
			for to, want := range map[string]Target{
				other.Origin + "/take?canary":     OtherServer,
				"https://canary.example/":         OtherServer,
				"//canary\u009b31m\u202e.example": OtherServer,
				from.Origin + "/canary":           SameServer,
				"/canary":                         SameServer,
				"://canary":                       "",
			} {
				from.Fault("", orchestratortest.Fault{Status: status, Redirect: to})
				_, err := post(t, newClient(t, Options{}), from.Identity)
				if redirect, ok := errors.AsType[*RedirectError](err); !ok || redirect.To != want {
					t.Errorf("to %q: got %v, want a RedirectError to %q", to, err, want)
				}
				silent(t, err)
			}
			if n := other.Requests(""); n != 0 {
				t.Errorf("the target had %d requests", n)
			}
		})
	}
}

func TestPlainHTTPLeavesOnlyToLoopback(t *testing.T) {
	c := newClient(t, Options{Timeout: time.Second})
	for _, to := range []string{"http://192.0.2.1/", "http://example.test/", "http://127.0.0.1.example.test/", "http://2130706433/", "http://0.0.0.0/"} {
		_, err := post(t, c, to)
		if _, ok := errors.AsType[*PlaintextError](err); !ok {
			t.Errorf("%s: %v", to, err)
		}
	}
	if n := proxied.Load(); n != 0 {
		t.Errorf("%d requests reached the proxy", n)
	}
}

func TestResolvedAddressIsCheckedBeforeConnecting(t *testing.T) {
	dialer := newClient(t, Options{}).Transport.(*guard).plain
	_, err := dialer.DialContext(t.Context(), "tcp", "192.0.2.1:80") // what a name in /etc/hosts could say
	if _, ok := errors.AsType[*PlaintextError](err); !ok {
		t.Errorf("got %v", err)
	}
	s := newServer(t, orchestratortest.Options{})
	if _, err := post(t, newClient(t, Options{}), strings.Replace(s.Origin, "127.0.0.1", "localhost", 1)); err != nil {
		t.Errorf("localhost: %v", err)
	}
}

// TestMetadataIsAskedOnlyWhereWanted: one address more, at its own port, by
// clients that were made for it.
func TestMetadataIsAskedOnlyWhereWanted(t *testing.T) {
	plain, metadata := newClient(t, Options{Timeout: time.Second}), newClient(t, Options{Timeout: time.Second, Metadata: true})
	for _, to := range []string{"http://169.254.169.254/", "http://192.0.2.1/", "http://169.254.169.253/", "http://169.254.169.254:8080/",
		"http://169.254.169.254.example.test/", "http://2852039166/", "http://[::ffff:169.254.169.254]/"} {
		if _, err := plain.Transport.(*guard).way(get(t, to)); !isPlaintext(err) {
			t.Errorf("%s, by any client: %v", to, err)
		}
		way, err := metadata.Transport.(*guard).way(get(t, to))
		if wanted := to == "http://"+MetadataHost+"/"; wanted != (err == nil) || wanted != (way != nil) {
			t.Errorf("%s, by one for it: %v", to, err)
		}
	}
	g := metadata.Transport.(*guard)
	if g.metadata.Proxy != nil {
		t.Error("the metadata service is asked through a proxy")
	}
	for what, dialled := range map[string]func() error{
		"a name that is another address":        func() error { return second(g.metadata.DialContext(t.Context(), "tcp", "192.0.2.1:80")) },
		"a name that is this machine":           func() error { return second(g.metadata.DialContext(t.Context(), "tcp", "127.0.0.1:80")) },
		"localhost that is the metadata's host": func() error { return second(g.plain.DialContext(t.Context(), "tcp", MetadataHost+":80")) },
	} {
		if err := dialled(); !isPlaintext(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func get(t *testing.T, to string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", to, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func isPlaintext(err error) bool {
	_, ok := errors.AsType[*PlaintextError](err)
	return ok
}

func second(_ net.Conn, err error) error { return err }

func TestLoopbackGoesToNoProxy(t *testing.T) {
	before := proxied.Load()
	plain, secure := newServer(t, orchestratortest.Options{}), newServer(t, orchestratortest.Options{TLS: true})
	c := newClient(t, Options{CAFiles: []string{caFile(t, secure.CAPEM)}})
	for _, to := range []string{plain.Identity, secure.Identity, strings.Replace(secure.Identity, "127.0.0.1", "LOCALHOST", 1)} {
		if _, err := post(t, c, to); err != nil {
			t.Errorf("%s: %v", to, err)
		}
	}
	if n := proxied.Load() - before; n != 0 {
		t.Errorf("%d requests reached the proxy", n)
	}
	_, err := post(t, c, "https://example.test/")
	if refused, ok := errors.AsType[*ProxyError](err); !ok || refused.Status != 407 {
		t.Errorf("elsewhere: %v, want the proxy's refusal", err)
	}
}

func TestBodyEndsAtOneMiB(t *testing.T) {
	s := newServer(t, orchestratortest.Options{})
	c := newClient(t, Options{})
	for size, fits := range map[int64]bool{MaxBody: true, MaxBody + 1: false, 200 << 20: false} {
		s.Fault("", orchestratortest.Fault{Body: "{}", Size: size, Times: 1})
		body, err := post(t, c, s.Identity)
		_, tooLarge := errors.AsType[*TooLargeError](err)
		if fits && err != nil || !fits && !tooLarge || len(body) > MaxBody {
			t.Errorf("%d bytes: read %d, %v", size, len(body), err)
		}
	}
}

func TestSlowBodyMeetsTheDeadline(t *testing.T) {
	s := newServer(t, orchestratortest.Options{})
	s.Fault("", orchestratortest.Fault{Body: strings.Repeat(" ", 1000), Slow: 20 * time.Millisecond})
	_, err := post(t, newClient(t, Options{Timeout: 200 * time.Millisecond}), s.Identity)
	if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() {
		t.Fatalf("got %v, want a timeout", err)
	}
	if what, _ := Explain(err); !strings.Contains(what, "in time") {
		t.Errorf("explained as %q", what)
	}
}

func TestHalfBody(t *testing.T) {
	s := newServer(t, orchestratortest.Options{})
	s.Fault("", orchestratortest.Fault{Body: `{"a":"canary"}`, Cut: true})
	if _, err := post(t, newClient(t, Options{}), s.Identity); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

func TestNoTextOfTheServerInAnError(t *testing.T) {
	for name, raw := range map[string]string{
		"not HTTP":     "canary canary canary\r\n\r\n",
		"status":       "HTTP/1.1 canary OK\r\n\r\n",
		"header":       "HTTP/1.1 200 OK\r\ncanary\r\n\r\n",
		"length":       "HTTP/1.1 200 OK\r\nContent-Length: canary\r\n\r\n",
		"encoding":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: canary\r\n\r\n",
		"chunk":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ncanary\r\n",
		"location":     "HTTP/1.1 307 No\r\nLocation: ://canary\r\n\r\n",
		"long headers": "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("canary", 20000) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := post(t, newClient(t, Options{}), rawServer(t, raw))
			if err == nil {
				t.Fatal("no error")
			}
			silent(t, err)
		})
	}
}

// silent checks that neither an error's chain nor what is said of it shows the
// canary, and that all of it is printable ASCII.
func silent(t *testing.T, err error) {
	t.Helper()
	what, todo := Explain(err)
	texts := []string{what, todo}
	for ; err != nil; err = errors.Unwrap(err) {
		texts = append(texts, err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err))
	}
	for _, text := range texts {
		if strings.Contains(text, "canary") || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("the server's text shows: %q", text)
		}
	}
}

func rawServer(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, answer)
			c.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestAuthorities(t *testing.T) {
	s := newServer(t, orchestratortest.Options{TLS: true})
	_, err := post(t, newClient(t, Options{}), s.Identity)
	what, todo := Explain(err)
	if !strings.Contains(what, "authority") || !strings.Contains(todo, "ca in config.yaml") {
		t.Errorf("unknown authority: %v, explained as %q, %q", err, what, todo)
	}
	if _, err := post(t, newClient(t, Options{CAFiles: []string{caFile(t, s.CAPEM)}}), s.Identity); err != nil {
		t.Errorf("with the ca setting: %v", err)
	}
	if _, err := New(Options{CAFiles: []string{caFile(t, []byte("not PEM"))}}); err == nil {
		t.Error("a file without a certificate was accepted")
	}
	if _, err := New(Options{CAFiles: []string{filepath.Join(t.TempDir(), "missing.pem")}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func caFile(t *testing.T, pem []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestExplain(t *testing.T) {
	c := newClient(t, Options{Timeout: time.Second})
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().String()
	free.Close()
	plain := newServer(t, orchestratortest.Options{})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, want := range map[string]string{
		"http://" + nobody: "nobody answers at " + nobody,
		strings.Replace(plain.Origin, "http:", "https:", 1): "no secure connection",
		rawServer(t, ""):       "ended the connection",
		"http://example.test/": "without TLS",
	} {
		_, err := post(t, c, name)
		if what, todo := Explain(err); !strings.Contains(what, want) || todo == "" {
			t.Errorf("%v: explained as %q, want %q", err, what, want)
		}
	}
	r, _ := http.NewRequestWithContext(gone, "GET", plain.Origin, nil)
	_, err = c.Do(r)
	if what, _ := Explain(err); !strings.Contains(what, "given up") {
		t.Errorf("%v: explained as %q", err, what)
	}
}

func TestUserAgent(t *testing.T) {
	seen := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen <- r.UserAgent() }))
	defer s.Close()
	if _, err := post(t, newClient(t, Options{UserAgent: "keytender/0.1"}), s.URL); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; got != "keytender/0.1" {
		t.Errorf("got %q", got)
	}
}
