//go:build unix

package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keytender/agent/api"
)

// listening is a socket on which every connection gets the same bytes, whatever
// it says, and is then closed.
func listening(t *testing.T, answer string) string {
	t.Helper()
	path := filepath.Join(shortDir(t), "k.sock")
	l, err := net.Listen("unix", path)
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
			go func() {
				defer c.Close()
				_, _ = c.Read(make([]byte, 64<<10))
				_, _ = io.WriteString(c, answer)
			}()
		}
	}()
	return path
}

func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "kt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// asked is the error of a token request to a socket.
func asked(t *testing.T, socket string) *api.Error {
	t.Helper()
	c := &api.Client{Socket: socket}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	token, err := c.Token(ctx, api.TokenRequest{Profile: "invoices"})
	e, ok := errors.AsType[*api.Error](err)
	if !ok || token.AccessToken != "" {
		t.Fatalf("got %v, %v", token, err)
	}
	return e
}

func TestWhatAnswersIsNoAgent(t *testing.T) {
	whole := func(status, body string) string {
		return fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
	}
	const head = "HTTP/1.1 200 OK\r\n"
	for what, answer := range map[string]string{
		"HTML":               whole("200 OK", "<html>"+canary+"</html>"),
		"an HTML error":      whole("502 Bad Gateway", "<h1>"+canary+"</h1>"),
		"half a token":       head + "Content-Length: 400\r\n\r\n{\"access_token\":\"" + canary,
		"cut off, no length": head + "Connection: close\r\n\r\n{\"access_token\":\"" + canary,
		"cut off chunks":     head + "Transfer-Encoding: chunked\r\n\r\n14\r\n{\"access_token\":\"aaa\r\n",
		"half a header":      "HTTP/1.1 200 OK\r\nContent-Ty",
		"nothing":            "",
		"not HTTP":           "220 " + canary + " ESMTP\r\n",
		"an empty error":     whole("500 X", "{}"),
		"another's error":    whole("400 X", `{"message":"`+canary+`"}`),
		"a redirect":         "HTTP/1.1 302 Found\r\nLocation: http://evil.example/" + canary + "\r\nContent-Length: 0\r\n\r\n",
		"an array":           whole("200 OK", "[]"),
		"a wrong type":       whole("200 OK", `{"access_token":["`+canary+`"]}`),
	} {
		t.Run(what, func(t *testing.T) {
			e := asked(t, listening(t, answer))
			if e.Code != api.Unavailable || e.Hint == "" || strings.Contains(e.Error(), canary) {
				t.Errorf("%s: %v", e.Code, e)
			}
		})
	}
}

func TestAnswerOfAnAgent(t *testing.T) {
	const said = `{"error":"not_paired","error_description":"invoices is not paired","hint":"pair it","later":"field"}`
	e := asked(t, listening(t, "HTTP/1.1 404 X\r\nConnection: close\r\n\r\n"+said))
	if e.Code != api.NotPaired || e.Error() != "invoices is not paired: pair it" {
		t.Errorf("%+v", e)
	}
}

func TestPairingThatBreaksOff(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
	for what, events := range map[string]string{
		"at once":       "",
		"after a step":  "event: step\ndata: {\"step\":1,\"of\":6}\n\n",
		"in a step":     "event: step\ndata: {\"st",
		"without steps": ": comment\n\n",
		"odd":           "event: done\ndata: <html>\n\n",
	} {
		c := &api.Admin{Socket: listening(t, head+events)}
		_, err := c.Pair(t.Context(), api.Pairing{Name: "x", Secret: canary}, nil)
		e, ok := errors.AsType[*api.Error](err)
		if !ok || e.Code != api.Unavailable || strings.Contains(e.Error(), canary) {
			t.Errorf("%s: %v", what, err)
		}
		c.Close()
	}
}

func TestEndlessAnswerIsNotReadToItsEnd(t *testing.T) {
	path := filepath.Join(shortDir(t), "k.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"access_token\":\"")
		for chunk := strings.Repeat("x", 1<<20); err == nil; {
			_, err = io.WriteString(c, chunk)
		}
	}()
	if e := asked(t, path); e.Code != api.Unavailable {
		t.Error(e)
	}
}

func TestNobodyListens(t *testing.T) {
	absent := filepath.Join(shortDir(t), "k.sock")
	stale := filepath.Join(shortDir(t), "k.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for what, path := range map[string]string{"no socket": absent, "a stale one": stale, "no directory": "/nowhere/at/all/k.sock"} {
		e := asked(t, path)
		if e.Code != api.Unavailable || e.Description != "nobody listens on "+path || !strings.Contains(e.Hint, "service start") {
			t.Errorf("%s: %+v", what, e)
		}
	}
}

func TestSilentAgentIsGivenUp(t *testing.T) {
	path := filepath.Join(shortDir(t), "k.sock")
	l, err := net.Listen("unix", path) // and nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c := &api.Client{Socket: path}
	defer c.Close()
	_, err = c.Token(ctx, api.TokenRequest{})
	if e, ok := errors.AsType[*api.Error](err); !ok || e.Code != api.Unavailable || !strings.Contains(e.Description, "in time") {
		t.Error(err)
	}
}

// TestRestartIsWaitedFor: an agent that says it is about to be back is asked
// again, also while nobody listens; one that says nothing of the kind is not.
func TestRestartIsWaitedFor(t *testing.T) {
	stopping := `{"error":"unavailable","error_description":"the agent is stopping","retry_after":1}`
	socket := listening(t, "HTTP/1.1 503 X\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"+stopping)
	later := listening(t, tokenAnswer)
	time.AfterFunc(500*time.Millisecond, func() { os.Remove(socket) })
	time.AfterFunc(1500*time.Millisecond, func() { _ = os.Rename(later, socket) })
	reached(t, socket, true)

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	c := &api.Client{Socket: listening(t, "HTTP/1.1 503 X\r\nConnection: close\r\n\r\n"+stopping)}
	defer c.Close()
	_, err := c.Token(ctx, api.TokenRequest{})
	if e, ok := errors.AsType[*api.Error](err); !ok || e.Description != "the agent is stopping" {
		t.Errorf("given up: %v", err)
	}
}

// TestSocketOfOthersIsNotTrusted: in a directory that somebody else can write,
// anybody could be listening.
func TestSocketOfOthersIsNotTrusted(t *testing.T) {
	for _, mode := range []os.FileMode{0o770, 0o707, 0o777 | os.ModeSticky} {
		path := listening(t, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"access_token\":\""+canary+"\"}")
		if err := os.Chmod(filepath.Dir(path), mode); err != nil {
			t.Fatal(err)
		}
		if e := asked(t, path); e.Code != api.AccessDenied || !strings.Contains(e.Description, "not trusted") {
			t.Errorf("%s: %+v", mode, e)
		}
	}
}
