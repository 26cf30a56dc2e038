package door

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/peer"
	"keytender/agent/internal/session"
)

// slow is a workload whose token takes until release is closed.
func slow(t *testing.T) (w Workload, came, release chan struct{}) {
	w = workload(t)
	token := aToken(t)
	came, release = make(chan struct{}), make(chan struct{})
	w.Token = func(ctx context.Context, _ peer.Caller, _ TokenRequest) (*session.Token, bool, error) {
		close(came)
		select {
		case <-release:
			return token, true, nil
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
	return w, came, release
}

func start(t *testing.T, s *Server) (socket string, served chan error) {
	socket = filepath.Join(shortDir(t), "k.sock")
	l, err := ListenUnix(socket, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	served = make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	return socket, served
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	w, came, release := slow(t)
	s := NewWorkload(w, Options{})
	socket, served := start(t, s)
	answers := make(chan *http.Response, 1)
	go func() {
		answer, _ := say(t, "unix", socket, get("/v1/token"))
		answers <- answer
	}()
	silent, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	<-came
	stopped := make(chan error, 1)
	began := time.Now()
	go func() { stopped <- s.Shutdown(t.Context()) }()
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
	if _, err := net.Dial("unix", socket); err == nil {
		t.Error("still listening")
	}
	close(release)
	if answer := <-answers; answer.StatusCode != 200 || !answer.Close {
		t.Errorf("%s, close %v", answer.Status, answer.Close)
	}
	if err := <-stopped; err != nil {
		t.Errorf("shut down: %v", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("a silent connection held it up: %s", took)
	}
}

func TestShutdownTellsThoseWhoStillWait(t *testing.T) {
	w, came, _ := slow(t)
	s := NewWorkload(w, Options{})
	socket, served := start(t, s)
	failed := make(chan error, 1)
	go func() {
		_, err := client(t, socket).Token(context.Background(), api.TokenRequest{})
		failed <- err
	}()
	<-came
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shut down: %v", err)
	}
	if e := want(t, <-failed, api.Unavailable); e.RetryAfter != 1 {
		t.Errorf("%+v", e)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestNothingIsServedAfterShutdown(t *testing.T) {
	s := NewWorkload(workload(t), Options{})
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	socket, served := start(t, s)
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("unix", socket); err == nil {
		t.Error("listening")
	}
}

func TestConnectionIsKept(t *testing.T) {
	c, err := net.Dial("unix", onUnix(t, NewWorkload(workload(t), Options{})))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for range 3 {
		_, _ = io.WriteString(c, get("/v1/token"))
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		if answer.StatusCode != 200 || answer.Close || answer.ContentLength < 1000 {
			t.Errorf("%s, close %v, %d bytes", answer.Status, answer.Close, answer.ContentLength)
		}
	}
}
