package door

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"keytender/agent/internal/peer"
)

// line is one open connection and what is known of who is at its other end.
type line struct {
	conn   net.Conn
	ask    func(net.Conn) (peer.Caller, error)
	number uint64 // in the order of arrival
	came   time.Time

	asked  atomic.Bool // a whole request has come
	busy   atomic.Bool // a request is being answered
	caller atomic.Pointer[peer.Caller]

	// the serving goroutine's own
	places   chan struct{} // of the caller in the queue
	extended time.Time     // when the deadline for writing was set
}

// lineKey is where a connection's context holds its line.
type lineKey struct{}

func lineOf(r *http.Request) *line { return r.Context().Value(lineKey{}).(*line) }

func (l *line) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, lineKey{}, l)
}

// who is the process's owner at the other end. The kernel is asked once a
// connection, when somebody first wants to know; where it does not tell, the
// caller is unknown, and it is asked again the next time.
func (l *line) who() peer.Caller {
	if known := l.caller.Load(); known != nil {
		return *known
	}
	caller, err := l.ask(l.conn)
	if err != nil || !caller.Known {
		return peer.Caller{Source: caller.Source}
	}
	l.caller.Store(&caller)
	return caller
}

// callerOfUnix is the caller by the kernel's word on a unix socket.
func callerOfUnix(c net.Conn) (peer.Caller, error) {
	unix, ok := c.(*net.UnixConn)
	if !ok {
		return peer.Caller{}, errors.New("not a unix socket")
	}
	return peer.OfUnix(unix)
}
