package vaulttest

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"keytender/installer/testbed"
)

// ServersText is in whatever a fake says beside its codes. No error may repeat it.
const ServersText = "text-of-the-server"

// fake is what the fakes of this package have in common: a server over TLS on
// the loopback interface that ends with its test.
type fake struct {
	Host   string // 127.0.0.1:PORT
	CAFile string // PEM file of the authority behind its certificate

	issuer *issuer

	mu    sync.Mutex
	asked []string       // the address of every request that arrived
	reads map[string]int // by name of what was asked for
	held  chan struct{}  // nil: nothing is kept back
	cut   bool
}

// start begins to serve. nameOf is what a request asks for, "" where that is no
// entry.
func (f *fake) start(t testbed.Test, serve http.HandlerFunc, nameOf func(*http.Request) string) {
	t.Helper()
	f.issuer = newIssuer(t)
	f.reads = map[string]int{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.arrive(r, nameOf(r))
		serve(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that hang up are part of the tests
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{f.issuer.server(t)},
		ClientCAs:    f.issuer.pool,
		ClientAuth:   tls.VerifyClientCertIfGiven,
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	f.Host = server.Listener.Addr().String()
	f.CAFile = f.issuer.file
}

// arrive counts a request and keeps it back or ends it, if that was asked for.
func (f *fake) arrive(r *http.Request, name string) {
	f.mu.Lock()
	f.asked = append(f.asked, r.Method+" "+r.RequestURI)
	if name != "" {
		f.reads[name]++
	}
	held, cut := f.held, f.cut
	f.mu.Unlock()
	if cut {
		panic(http.ErrAbortHandler)
	}
	if held == nil {
		return
	}
	select {
	case <-held:
	case <-r.Context().Done():
	}
}

// Reads is how often the entry of that name was asked for so far; "" stands for
// every request, whatever it was for.
func (f *fake) Reads(_ *testing.T, name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if name == "" {
		return len(f.asked)
	}
	return f.reads[name]
}

// Hold keeps every answer back until release is called.
func (f *fake) Hold(t *testing.T) (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := make(chan struct{})
	f.held = held
	release = sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.held = nil
		close(held)
	})
	t.Cleanup(release)
	return release
}

// Cut ends connections without an answer until restore is called.
func (f *fake) Cut(t *testing.T) (restore func()) {
	set := func(cut bool) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.cut = cut
	}
	set(true)
	restore = func() { set(false) }
	t.Cleanup(restore)
	return restore
}

// Asked are the requests that arrived, "GET /path?query", in their order and as
// they were written.
func (f *fake) Asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.asked...)
}

func answerJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprint(w, body)
}
