package door

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/identity"
	"keytender/agent/internal/peer"
	"keytender/agent/internal/session"
	"keytender/vault"
)

const canary = "canary-7f0c-must-not-be-seen"

// aToken is a token of about the size of a JWT.
func aToken(t testing.TB) *session.Token {
	t.Helper()
	granted := identity.Grant{Access: vault.NewSecret(strings.Repeat("eyJhbGciOi", 120)), Type: "Bearer", IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour), Scope: "OR.Jobs"}
	sessions := session.New(session.Options{Grant: func(context.Context, session.Key) (identity.Grant, error) { return granted, nil }})
	t.Cleanup(sessions.Close)
	token, _, err := sessions.Token(t.Context(), session.Key{Profile: "invoices", Subject: "machine"}, session.Want{})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// workload is a working agent behind the door.
func workload(t testing.TB) Workload {
	token := aToken(t)
	return Workload{
		Token: func(context.Context, peer.Caller, TokenRequest) (*session.Token, bool, error) {
			return token, true, nil
		},
		Profiles: func(context.Context, peer.Caller) ([]api.Profile, error) {
			return []api.Profile{{Name: "invoices"}}, nil
		},
		Status: func(context.Context, peer.Caller) (api.Status, error) { return api.Status{Version: api.Version}, nil },
		Ready:  func(context.Context) (bool, []string) { return true, []string{"audit: ok"} },
	}
}

func ourselves(net.Conn) (peer.Caller, error) {
	return peer.Caller{Known: true, UID: uint32(os.Getuid()), Source: "sock_diag"}, nil
}

// serve serves s on l until the test ends.
func serve(t testing.TB, s *Server, l net.Listener) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = s.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

func onUnix(t testing.TB, s *Server) string {
	t.Helper()
	path := filepath.Join(shortDir(t), "k.sock")
	l, err := ListenUnix(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, s, l)
	return path
}

func onTCP(t testing.TB, s *Server) string {
	t.Helper()
	l, err := ListenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, s, l)
	return l.Addr().String()
}

// shortDir is a directory of our own whose name leaves room for a socket's.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// say sends raw bytes and returns the answer and its body.
func say(t testing.TB, network, addr, raw string) (*http.Response, string) {
	t.Helper()
	c, err := dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(raw, " ")
	answer, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%.80q: %v", raw, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%.80q: %v", raw, err)
	}
	return answer, string(body)
}

// dial waits, as a blocking connect does, while the listener's backlog is full.
func dial(network, addr string) (net.Conn, error) {
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial(network, addr)
		if !errors.Is(err, syscall.EAGAIN) || time.Since(began) > 10*time.Second {
			return c, err
		}
	}
}

// get is a proper request for a path.
func get(path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nKeytender: 1\r\n\r\n"
}

func client(t testing.TB, socket string) *api.Client {
	c := &api.Client{Socket: socket}
	t.Cleanup(c.Close)
	return c
}

// want fails the test unless err has the code.
func want(t testing.TB, err error, code api.Code) *api.Error {
	t.Helper()
	e, ok := errors.AsType[*api.Error](err)
	if !ok || e.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	return e
}

var errBoom = fmt.Errorf("something with %s in it", canary)
