//go:build !linux

package peer

import (
	"errors"
	"fmt"
	"net"
	"runtime"
)

// Diag tells who is at the other end of a connection. On this system it does so for unix
// sockets at most.
type Diag struct{ names names }

// NewDiag returns a Diag to be closed after use.
func NewDiag() (*Diag, error) { return &Diag{}, nil }

// Of is OfUnix for unix sockets; over TCP nobody is known, and the error wraps
// errors.ErrUnsupported.
func (d *Diag) Of(c net.Conn) (Caller, error) {
	if u, ok := c.(*net.UnixConn); ok {
		return ofUnix(u, d.names.of)
	}
	return Caller{}, fmt.Errorf("look up a TCP connection on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Close does nothing here.
func (d *Diag) Close() error { return nil }
