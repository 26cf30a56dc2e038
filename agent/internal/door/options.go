package door

import (
	"cmp"
	"errors"
	"log/slog"
	"net"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/peer"
)

// Options of a door. The zero value serves: with default limits, nobody known
// on TCP, and nobody allowed on the admin door.
type Options struct {
	// Caller tells who is at the other end of a connection, as peer.Diag.Of
	// does; nil is peer.OfUnix, and knows nobody on TCP.
	Caller func(net.Conn) (peer.Caller, error)
	// Allow returns nil for a caller who may use the admin door, else what
	// that caller is told; nil allows nobody. The workload door has no use
	// for it: there the rules decide.
	Allow func(peer.Caller) error
	// Explain turns an error of the agent into what callers are told; nil is
	// this package's Explain.
	Explain func(error) *api.Error
	// Now is the wall clock by which expires_in is told; nil is time.Now.
	Now func() time.Time
	// Log hears of what someone should act on; nil is nobody.
	Log *slog.Logger

	Limits
}

// Limits bound what callers can take from the agent. For each, zero is the
// default in parentheses.
type Limits struct {
	Headers     int           // bytes of a request's headers (16 KiB)
	Body        int64         // bytes of a request's body (64 KiB)
	Connections int           // open at once, for each listener (1024)
	Waiting     int           // requests of one caller, answered at once (64)
	Patience    time.Duration // for a place among them before slow_down (100 ms)
	ReadHeaders time.Duration // from a connection's start, or a request's first byte, to the end of its headers (5 s)
	ReadBody    time.Duration // to the end of the body (10 s)
	Write       time.Duration // of an answer, from when there is one, or a tenth less (10 s)
	Idle        time.Duration // between two requests of a connection (2 min)
}

func (o Options) withDefaults() Options {
	if o.Caller == nil {
		o.Caller = callerOfUnix
	}
	if o.Allow == nil {
		o.Allow = func(peer.Caller) error { return errors.New("nobody is allowed") }
	}
	if o.Explain == nil {
		o.Explain = Explain
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Limits = Limits{
		Headers:     cmp.Or(o.Headers, 16<<10),
		Body:        cmp.Or(o.Body, 64<<10),
		Connections: cmp.Or(o.Connections, 1024),
		Waiting:     cmp.Or(o.Waiting, 64),
		Patience:    cmp.Or(o.Patience, 100*time.Millisecond),
		ReadHeaders: cmp.Or(o.ReadHeaders, 5*time.Second),
		ReadBody:    cmp.Or(o.ReadBody, 10*time.Second),
		Write:       cmp.Or(o.Write, 10*time.Second),
		Idle:        cmp.Or(o.Idle, 2*time.Minute),
	}
	return o
}
