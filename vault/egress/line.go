package egress

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

// line is a connection on which nothing is heard before something was said.
// net/http reads from a connection as soon as it has one, and prints to the
// standard logger what comes before a request is under way. Beyond a proxy
// net/http makes TLS itself, inside the line: there the server can still be
// first, and only a program that discards the standard logger is silent.
type line struct {
	net.Conn
	once   sync.Once
	spoken chan struct{}
}

func newLine(c net.Conn) *line { return &line{Conn: c, spoken: make(chan struct{})} }

func (l *line) speak() { l.once.Do(func() { close(l.spoken) }) }

func (l *line) Read(p []byte) (int, error) {
	<-l.spoken
	return l.Conn.Read(p)
}

func (l *line) Write(p []byte) (int, error) {
	l.speak()
	return l.Conn.Write(p)
}

func (l *line) Close() error {
	l.speak()
	return l.Conn.Close()
}

// dial is how a transport gets a connection.
type dial func(ctx context.Context, network, address string) (net.Conn, error)

// quiet makes lines of what d dials.
func (d dial) quiet(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return newLine(c), nil
}

// secured makes lines over TLS, with the server that address names at the other
// end.
func (d dial) secured(config *tls.Config, timeout time.Duration) dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		c, err := d(ctx, network, address)
		if err != nil {
			return nil, err
		}
		config := config.Clone()
		config.ServerName = host
		secure := tls.Client(c, config)
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		if err := secure.HandshakeContext(ctx); err != nil {
			c.Close()
			return nil, err
		}
		return newLine(secure), nil
	}
}

// overheard tells of a request's connection, for net/http sees only that it is a
// line: call it once there is an answer.
func overheard(r *http.Request) (_ *http.Request, state func() *tls.ConnectionState) {
	var got net.Conn
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { got = info.Conn }}
	return r.WithContext(httptrace.WithClientTrace(r.Context(), trace)), func() *tls.ConnectionState {
		l, ok := got.(*line)
		if !ok {
			return nil
		}
		secure, ok := l.Conn.(*tls.Conn)
		if !ok {
			return nil
		}
		state := secure.ConnectionState()
		return &state
	}
}
