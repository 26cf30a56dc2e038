package orchestratortest

import (
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options say what kind of server to start. The zero value is a plain HTTP
// server for organization "acme" and tenant "prod" whose tokens live one hour.
type Options struct {
	Org, Tenant string
	TLS         bool          // https with a certificate of a CA of its own
	Lifetime    time.Duration // of access tokens
	Addr        string        // to listen on; "127.0.0.1:0" if empty
	// NewOrg makes an organization that is administered at its own level alone,
	// {Origin}/{org}/identity_: at the host's level it is InvalidPartition.
	NewOrg bool
}

// Server is a running Orchestrator and Identity Server. Its methods may be
// called from any goroutine. The exported fields are set once, by New.
type Server struct {
	Origin       string // "http://127.0.0.1:40123"
	Orchestrator string // Orchestrator's base, ending in /orchestrator_
	Identity     string // Identity's base and issuer, ending in /identity_
	Org, Tenant  string
	Partition    string // the organization's GUID, prt_id in its tokens

	CA *x509.CertPool // the authority behind a TLS server, else nil
	// CAPEM is the same authority as a PEM file's content, else nil.
	CAPEM []byte

	http         *http.Server
	served       chan struct{} // closed when the listener has ended
	closing      chan struct{} // closed when Close begins
	keys         *signer
	orgLevelOnly bool // see Options.NewOrg

	once     sync.Once
	mu       sync.Mutex
	clients  map[string]*client
	secretID int64
	late     int // of secrets made from now on: see DelaySecrets
	lifetime time.Duration
	skew     time.Duration
	faults   []placedFault
	requests map[string]int // by path
	byClient map[string]int // token requests by client id
}

// New starts a server. Like httptest.NewServer it panics if it cannot listen.
// The caller calls Close.
func New(o Options) *Server {
	s := &Server{
		Org: or(o.Org, "acme"), Tenant: or(o.Tenant, "prod"),
		Partition: newGUID(),
		served:    make(chan struct{}),
		closing:   make(chan struct{}),
		keys:      newSigner(),
		clients:   make(map[string]*client),
		lifetime:  o.Lifetime,
		requests:  make(map[string]int),
		byClient:  make(map[string]int),

		orgLevelOnly: o.NewOrg,
	}
	if s.lifetime == 0 {
		s.lifetime = time.Hour
	}
	l, err := net.Listen("tcp", or(o.Addr, "127.0.0.1:0"))
	if err != nil {
		panic(fmt.Sprintf("orchestratortest: listen: %v", err))
	}
	s.Origin = "http://" + l.Addr().String()
	if o.TLS {
		s.Origin = "https://" + l.Addr().String()
		l = s.secure(l)
	}
	s.Orchestrator = s.Origin + "/" + s.Org + "/" + s.Tenant + "/orchestrator_"
	s.Identity = s.Origin + "/identity_"
	s.http = &http.Server{Handler: s.disturbed(s.routes()), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(l) // always ErrServerClosed: Close is the only end
	}()
	return s
}

// Close ends the server and every connection at once, faults under way included.
// Closing twice does no harm.
func (s *Server) Close() {
	s.once.Do(func() { close(s.closing) })
	_ = s.http.Close() // its listener is gone either way
	<-s.served
}

// SetLifetime sets how long tokens live that are issued from now on. A negative
// one issues tokens that have expired already.
func (s *Server) SetLifetime(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lifetime = d
}

// SetSkew puts the server's clock off by d: its Date header, the times in its
// tokens and the clock by which it judges them.
func (s *Server) SetSkew(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skew = d
}

// TokenRequests tells how many requests the token endpoint has had, answered
// or not, faults included.
func (s *Server) TokenRequests() int { return s.Requests(tokenPath) }

// TokenRequestsOf tells how many token requests named clientID and reached the
// endpoint itself, which those that a Fault answered did not.
func (s *Server) TokenRequestsOf(clientID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byClient[clientID]
}

// Requests tells how many requests had part in their path; "" counts all.
func (s *Server) Requests(part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for path, count := range s.requests {
		if strings.Contains(path, part) {
			n += count
		}
	}
	return n
}

// now is the server's own clock.
func (s *Server) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock()
}

// clock is now for those who have s.mu.
func (s *Server) clock() time.Time { return time.Now().Add(s.skew) }

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
