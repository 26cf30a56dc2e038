package main

import (
	"context"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// connection is the context key of a request's own net.Conn.
type connection struct{}

// front stands between clients and the core. The core does what it was asked in
// any case: a fault spoils the answer alone, as a bad network does.
type front struct {
	core http.Handler

	mu       sync.Mutex
	requests []string // "GET /v1/kv/a%20b NAMESPACE", as the client wrote them
	faults   []fault
	fakes    map[string]answer
	mended   chan struct{} // closed when held answers may go
}

// fault is what becomes of the answers to some requests.
type fault struct {
	Part  string `json:"part"`  // of their paths
	Cut   bool   `json:"cut"`   // the connection closes in its place
	Hold  bool   `json:"hold"`  // it waits for mend
	Delay int    `json:"delay"` // it waits so many milliseconds
}

func newFront(core http.Handler) *front {
	f := &front{core: core}
	f.mend()
	return f
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	by, spoil, mended := f.receive(r)
	if spoil == nil {
		by.ServeHTTP(w, r)
		return
	}
	response := httptest.NewRecorder()
	by.ServeHTTP(response, r)
	switch {
	case spoil.Cut:
		r.Context().Value(connection{}).(net.Conn).Close()
		panic(http.ErrAbortHandler)
	case spoil.Hold:
		wait(r.Context(), mended, nil)
	default:
		wait(r.Context(), mended, time.After(time.Duration(spoil.Delay)*time.Millisecond))
	}
	maps.Copy(w.Header(), response.Header())
	w.WriteHeader(response.Code)
	w.Write(response.Body.Bytes())
}

// receive counts a request and says who answers it and what spoils the answer, if
// anything does.
func (f *front) receive(r *http.Request) (by http.Handler, spoil *fault, mended <-chan struct{}) {
	path := r.URL.EscapedPath()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, strings.TrimSpace(r.Method+" "+path+" "+r.Header.Get("X-Vault-Namespace")))
	for _, fault := range f.faults { // the last one wins
		if strings.Contains(path, fault.Part) {
			spoil = &fault
		}
	}
	if fake, ok := f.fakes[path]; ok {
		return fake, spoil, f.mended
	}
	return f.core, spoil, f.mended
}

func wait(ctx context.Context, mended <-chan struct{}, after <-chan time.Time) {
	select {
	case <-ctx.Done():
	case <-mended:
	case <-after:
	}
}

func (a answer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.Status)
	w.Write(a.Body)
}

func (f *front) counted() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

func (f *front) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = nil
}

func (f *front) addFault(spoil fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, spoil)
}

func (f *front) addFake(path string, a answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fakes["/v1/"+path] = a
}

// mend ends faults and fakes and lets go what is held.
func (f *front) mend() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mended != nil {
		close(f.mended)
	}
	f.mended = make(chan struct{})
	f.faults, f.fakes = nil, map[string]answer{}
}
