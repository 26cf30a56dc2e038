package orchestratortest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// Fault is one way to misbehave; its fields may be combined. The zero value
// changes nothing.
//
// Status, HTML, Redirect and Body replace the answer, which then is not even
// worked out: a secret in the request is not looked at. The others spoil the
// answer that would have been given.
type Fault struct {
	Times  int    // how many requests it lasts; 0: until Heal
	Method string // of the requests that meet it; "": any

	Delay      time.Duration // before the answer begins
	Status     int           // in place of the answer, with no body unless one is named below
	RetryAfter string        // header: seconds or an HTTP date
	HTML       bool          // a proxy's page in place of the answer
	Redirect   string        // to this URL, with 307 unless Status says otherwise
	Body       string        // as JSON, in place of the answer

	Edit func(answer map[string]any) // changes a JSON answer: see Set and Drop
	Date time.Duration               // puts the Date header alone off; SetSkew moves the whole clock
	Size int64                       // the body is padded with spaces to so many bytes
	Slow time.Duration               // pause before each byte of the body
	Cut  bool                        // half of the body, or of an empty one not even the header, then the connection is cut
}

// Set returns an Edit that gives the answer's key another value.
func Set(key string, value any) func(map[string]any) {
	return func(answer map[string]any) { answer[key] = value }
}

// Drop returns an Edit that leaves key out of the answer.
func Drop(key string) func(map[string]any) {
	return func(answer map[string]any) { delete(answer, key) }
}

type placedFault struct {
	path string
	left int // -1: no end
	Fault
}

// Fault lets every request whose path contains path meet f; "" means all
// requests. Where several fit, the one placed last counts.
func (s *Server) Fault(path string, f Fault) {
	left := f.Times
	if left == 0 {
		left = -1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, placedFault{path: path, left: left, Fault: f})
}

// Heal removes all faults. Answers under way are not changed.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// arrive counts a request and picks the fault that it meets.
func (s *Server) arrive(method, path string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[path]++
	for i := len(s.faults) - 1; i >= 0; i-- {
		f := &s.faults[i]
		if f.left != 0 && strings.Contains(path, f.path) && (f.Method == "" || f.Method == method) {
			if f.left > 0 {
				f.left--
			}
			return f.Fault, true
		}
	}
	return Fault{}, false
}

// disturbed puts the clock and the faults before next.
func (s *Server) disturbed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, faulty := s.arrive(r.Method, r.URL.Path)
		w.Header().Set("Date", s.now().Add(f.Date).UTC().Format(http.TimeFormat))
		if !faulty {
			next.ServeHTTP(w, r)
			return
		}
		a := f.answer(r, next)
		if !s.pause(f.Delay) {
			panic(http.ErrAbortHandler) // else an empty 200 would go out
		}
		s.send(w, f, a)
	})
}

// answer is what f says, else what next says, as f edits it.
func (f Fault) answer(r *http.Request, next http.Handler) *answer {
	a := &answer{header: make(http.Header), status: f.Status}
	switch {
	case f.HTML:
		a.header.Set("Content-Type", "text/html; charset=utf-8")
		a.body.WriteString("<!DOCTYPE html><html><body><h1>Gateway</h1></body></html>")
	case f.Redirect != "":
		a.header.Set("Location", f.Redirect)
		if a.status == 0 {
			a.status = http.StatusTemporaryRedirect
		}
	case f.Body != "":
		a.header.Set("Content-Type", "application/json")
		a.body.WriteString(f.Body)
	case f.Status == 0:
		next.ServeHTTP(a, r)
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if f.RetryAfter != "" {
		a.header.Set("Retry-After", f.RetryAfter)
	}
	a.edit(f.Edit)
	return a
}

// send writes a as slowly, as long and as broken as f wants it.
func (s *Server) send(w http.ResponseWriter, f Fault, a *answer) {
	for key, values := range a.header {
		w.Header()[key] = values
	}
	body := a.body.Bytes()
	if f.Cut && len(body) == 0 {
		panic(http.ErrAbortHandler) // a header alone can be a whole answer
	}
	out := http.NewResponseController(w)
	w.WriteHeader(a.status)
	if f.Cut {
		// Sent in chunks, whose end never comes.
		_, _ = w.Write(body[:len(body)/2])
		_ = out.Flush()
		panic(http.ErrAbortHandler)
	}
	if f.Slow > 0 {
		for i := range body {
			if _, err := w.Write(body[i : i+1]); err != nil || out.Flush() != nil {
				return
			}
			if !s.pause(f.Slow) {
				panic(http.ErrAbortHandler)
			}
		}
		return
	}
	if _, err := w.Write(body); err != nil {
		return
	}
	spaces := bytes.Repeat([]byte(" "), 64<<10)
	for left := f.Size - int64(len(body)); left > 0; left -= int64(len(spaces)) {
		if _, err := w.Write(spaces[:min(left, int64(len(spaces)))]); err != nil {
			return
		}
	}
}

// pause waits for d; false if the server is closed before that.
func (s *Server) pause(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.closing:
		return false
	}
}

// answer is a response that has not been sent.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }
func (a *answer) WriteHeader(status int)      { a.status = status }

// edit leaves what is not a JSON object alone.
func (a *answer) edit(change func(map[string]any)) {
	if change == nil {
		return
	}
	var v map[string]any
	if json.Unmarshal(a.body.Bytes(), &v) != nil {
		return
	}
	change(v)
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // the test set a value that is not JSON
	}
	a.body.Reset()
	a.body.Write(body)
}
