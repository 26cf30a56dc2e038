package door

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// errStopping is why what still waits is cut short when time to stop is up.
var errStopping = errors.New("the agent is stopping")

// dismissal is how long a connection may stay silent when the door closes:
// what was sent before is read by then.
const dismissal = 250 * time.Millisecond

// Server serves one door on any number of listeners.
type Server struct {
	options Options
	routes  func(*exchange)
	onTCP   bool // may this door be served on TCP?

	queue   *queue
	refused atomic.Uint64
	buffers sync.Pool       // of *[]byte, for answers
	fixed   []field         // in the head of every answer
	base    context.Context // of every request
	stop    context.CancelCauseFunc

	mu      sync.Mutex
	closed  bool
	serving map[*http.Server]*crowd
}

// field is a header field whose value is shared by many answers.
type field struct {
	name  string
	value []string
}

func newServer(o Options, onTCP bool) *Server {
	s := &Server{
		options: o.withDefaults(),
		onTCP:   onTCP,
		buffers: sync.Pool{New: func() any { return new([]byte) }},
		fixed: []field{
			{"Cache-Control", []string{"no-store"}},
			{"Content-Type", []string{"application/json"}},
			{"X-Content-Type-Options", []string{"nosniff"}},
		},
		serving: make(map[*http.Server]*crowd),
	}
	s.queue = newQueue(s.options.Waiting, s.options.Patience)
	s.base, s.stop = context.WithCancelCause(context.Background())
	return s
}

// Refused is how many requests the guards of TCP have refused.
func (s *Server) Refused() uint64 { return s.refused.Load() }

// Serve answers what comes in on l until Shutdown, and returns nil then. It
// closes l. It serves unix sockets and, for the workload door alone, TCP on a
// loopback address; anything else it refuses.
func (s *Server) Serve(l net.Listener) error {
	served, err := s.server(l)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	err = served.Serve(l) // at once ErrServerClosed after Shutdown
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	s.mu.Lock()
	delete(s.serving, served)
	s.mu.Unlock()
	return fmt.Errorf("serve %s: %w", l.Addr(), err)
}

func (s *Server) server(l net.Listener) (*http.Server, error) {
	at := entrance{name: "unix", crowd: newCrowd(s.options.Connections)}
	if l.Addr().Network() != "unix" {
		tcp, ok := l.Addr().(*net.TCPAddr)
		if !ok || !s.onTCP {
			return nil, fmt.Errorf("serve %s: this door is for unix sockets only", l.Addr())
		}
		addr := tcp.AddrPort()
		if !isLoopback(addr.Addr()) {
			return nil, fmt.Errorf("serve %s: not a loopback address", l.Addr())
		}
		at.name, at.guard = "tcp", newGuard(addr, &s.refused)
	}
	served := s.bounded(at)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = served.Close() // nothing is open yet
	}
	s.serving[served] = at.crowd
	return served, nil
}

// bounded is the HTTP server for one entrance. The body has a time limit of its
// own, in exchange.body: net/http would end a request that waits for its
// answer along with the time for reading.
func (s *Server) bounded(at entrance) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:                      http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.answer(at, w, r) }),
		DisableGeneralOptionsHandler: true,
		MaxHeaderBytes:               s.options.Headers,
		ReadHeaderTimeout:            s.options.ReadHeaders,
		IdleTimeout:                  s.options.Idle,
		Protocols:                    protocols,
		ErrorLog:                     slog.NewLogLogger(s.options.Log.Handler(), slog.LevelWarn),
		BaseContext:                  func(net.Listener) context.Context { return s.base },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			l := &line{conn: c, ask: s.options.Caller}
			at.crowd.admit(l)
			return l.in(ctx)
		},
		ConnState: func(c net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				at.crowd.leave(c)
			}
		},
	}
}

// Shutdown stops listening, lets the requests in flight finish and closes
// every connection; kept-alive ones are told to close. When ctx ends, what
// still waits is cut short and answered with "unavailable", and Shutdown
// returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	stopped := make(chan error, len(s.serving))
	for served, crowd := range s.serving {
		go func() { stopped <- served.Shutdown(ctx) }()
		silent := time.AfterFunc(dismissal, crowd.dismiss)
		defer silent.Stop()
	}
	s.mu.Unlock()
	var err error
	for range cap(stopped) {
		err = errors.Join(err, <-stopped)
	}
	s.stop(errStopping)
	if err == nil {
		return nil
	}
	return errors.Join(err, s.cut())
}

// cut gives those who waited until now a second to hear why they did so in
// vain, then closes what is left.
func (s *Server) cut() error {
	last, done := context.WithTimeout(context.Background(), time.Second)
	defer done()
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for served := range s.serving {
		if served.Shutdown(last) != nil {
			err = errors.Join(err, served.Close())
		}
	}
	return err
}

// entrance is where a door is served.
type entrance struct {
	name  string // "unix" or "tcp"
	guard *guard // of TCP alone
	crowd *crowd
}

// answer takes one request through the checks that all have in common. The
// line is busy until the answer is sent, so that nothing cuts it off.
func (s *Server) answer(at entrance, w http.ResponseWriter, r *http.Request) {
	l := lineOf(r)
	l.busy.Store(true)
	l.asked.Store(true)
	x := exchange{server: s, entrance: at.name, line: l, w: w, r: r}
	defer x.end()
	if at.guard != nil {
		if refusal := at.guard.check(r); refusal != nil {
			x.hangUp()
			x.refuse(refusal)
			return
		}
	}
	x.read()
	s.routes(&x)
}
