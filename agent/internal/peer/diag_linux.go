package peer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Diag tells who is at the other end of a connection, over TCP by asking the kernel's
// sock_diag(7) on a netlink socket that it keeps. Its methods may be called by many goroutines
// at once.
type Diag struct {
	names    names
	unmapped unmapped

	mu     sync.Mutex // one question at a time
	socket int        // -1: to be opened
	closed bool
	seq    uint32
	buf    [4096]byte
}

// NewDiag opens the netlink socket, so that a system that forbids it says so at the start.
// The caller must Close the result.
func NewDiag() (*Diag, error) {
	socket, err := openNetlink()
	if err != nil {
		return nil, err
	}
	return &Diag{socket: socket, unmapped: newUnmapped()}, nil
}

// Of returns who is at the other end of c, a *net.TCPConn of this machine or a *net.UnixConn.
//
// Over TCP the answer holds only for a connection open at both ends: once the other end has
// closed, the kernel has no owner to tell and would answer uid 0. Then, for one that comes
// from elsewhere, and for any doubt, the error wraps ErrUnknown. The pid is never known.
func (d *Diag) Of(c net.Conn) (Caller, error) {
	switch c := c.(type) {
	case *net.UnixConn:
		caller, err := ofUnix(c, d.names.of)
		if err != nil {
			return Caller{}, err
		}
		return d.unmapped.reject(caller)
	case *net.TCPConn:
		uid, err := d.ofTCP(c)
		if err != nil {
			return Caller{}, fmt.Errorf("look up the TCP connection's owner: %w", err)
		}
		return d.unmapped.reject(Caller{Known: true, UID: uid, User: d.names.of(uid), Source: "sock_diag"})
	}
	return Caller{}, fmt.Errorf("look up the owner of a %T: %w", c, ErrUnknown)
}

// Close closes the netlink socket.
func (d *Diag) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	return d.drop()
}

func (d *Diag) ofTCP(c *net.TCPConn) (uint32, error) {
	// The client's socket is the one whose source is our remote address.
	q := question{source: addrPort(c.RemoteAddr()), destination: addrPort(c.LocalAddr())}
	if !q.source.IsValid() || !q.destination.IsValid() {
		return 0, ErrUnknown
	}
	uid, err := d.ask(q)
	if err != nil {
		return 0, err
	}
	// While our end is established no other socket can have been with these addresses: without
	// this look, a client that resets and leaves its port to another process would pass for it.
	return uid, stillEstablished(c)
}

func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := t.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port())
}

func stillEstablished(c *net.TCPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var info *unix.TCPInfo
	var asked error
	err = raw.Control(func(fd uintptr) {
		info, asked = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	switch {
	case err != nil:
		return err
	case asked != nil:
		return asked
	case info.State != established:
		return ErrUnknown
	}
	return nil
}

// ask puts q to the kernel. After any trouble with the socket itself the next question gets a
// new one.
func (d *Diag) ask(q question) (uint32, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, os.ErrClosed
	}
	if d.socket < 0 {
		socket, err := openNetlink()
		if err != nil {
			return 0, err
		}
		d.socket = socket
	}
	d.seq++
	if err := retry(func() error {
		_, err := unix.Write(d.socket, q.appendTo(d.buf[:0], d.seq))
		return err
	}); err != nil {
		return 0, errors.Join(fmt.Errorf("netlink: %w", err), d.drop())
	}
	for range 8 { // a late answer to an earlier question may come first
		var n int
		err := retry(func() (err error) {
			n, err = unix.Read(d.socket, d.buf[:])
			return err
		})
		if err != nil {
			return 0, errors.Join(fmt.Errorf("netlink: %w", err), d.drop())
		}
		if uid, ours, err := q.answer(d.buf[:n], d.seq); ours {
			return uid, err
		}
	}
	return 0, errors.Join(errors.New("netlink: only answers to other questions"), d.drop())
}

func (d *Diag) drop() error {
	if d.socket < 0 {
		return nil
	}
	err := unix.Close(d.socket)
	d.socket = -1
	return err
}

// retry repeats a call that a signal interrupted: with a timeout set, the kernel does not.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// openNetlink makes a socket that speaks with the kernel alone: connected to port 0, it
// takes no message from another process. The kernel answers within the question's system
// call, so that the timeout is only for what should not happen.
func openNetlink() (int, error) {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return -1, fmt.Errorf("open a netlink socket: %w", err)
	}
	err = unix.Connect(socket, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	if err == nil {
		err = unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1})
	}
	if err == nil {
		err = unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 1})
	}
	if err != nil {
		return -1, errors.Join(fmt.Errorf("open a netlink socket: %w", err), unix.Close(socket))
	}
	return socket, nil
}
