package peer

import (
	"bufio"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const otherUID = 12345

// childUID is the uid that children take: another one where we may choose, else our own.
func childUID() uint32 {
	if os.Getuid() == 0 {
		return otherUID
	}
	return uint32(os.Getuid())
}

// childMain is the life of a child: it changes its uid, connects, and waits.
func childMain(t *testing.T, network, address string) {
	if os.Getuid() == 0 {
		if err := errors.Join(unix.Setgroups(nil), unix.Setgid(otherUID), unix.Setuid(otherUID)); err != nil {
			t.Fatal(err)
		}
	}
	if network == "mapped" {
		hold(dialMapped(t, address))
		return
	}
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	hold(c)
}

// dialMapped connects an IPv6 socket to an IPv4 address, as clients with one kind of socket do.
func dialMapped(t *testing.T, address string) *os.File {
	to := netip.MustParseAddrPort(address)
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	}
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "mapped")
}

// connectChild starts a child that connects to l, and returns our end and its pid.
func connectChild(t *testing.T, l net.Listener, network string) (net.Conn, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOwnerOfAnotherProcess$")
	cmd.Env = append(os.Environ(), "KEYTENDER_PEER_NETWORK="+network, "KEYTENDER_PEER_ADDRESS="+l.Addr().String())
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "connected\n" {
		t.Fatalf("child says %q, %v", line, err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, cmd.Process.Pid
}

func TestOwnerOfAnotherProcess(t *testing.T) {
	if network := os.Getenv("KEYTENDER_PEER_NETWORK"); network != "" {
		childMain(t, network, os.Getenv("KEYTENDER_PEER_ADDRESS"))
		return
	}
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, listen, address, dial, source string }{
		{"unix", "unix", filepath.Join(dir, "s"), "unix", "peercred"},
		{"IPv4", "tcp4", "127.0.0.1:0", "tcp", "sock_diag"},
		{"IPv6", "tcp6", "[::1]:0", "tcp", "sock_diag"},
		{"IPv6 socket to IPv4", "tcp4", "127.0.0.1:0", "mapped", "sock_diag"},
		{"IPv4 to both", "tcp", ":0", "tcp4", "sock_diag"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := net.Listen(c.listen, c.address)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if c.listen == "unix" {
				if err := os.Chmod(c.address, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			conn, pid := connectChild(t, l, c.dial)
			got, err := newDiag(t).Of(conn)
			want := Caller{Known: true, UID: childUID(), User: User(childUID()), Source: c.source}
			if c.listen == "unix" {
				want.PID = int32(pid)
				if same, err := OfUnix(conn.(*net.UnixConn)); same != want || err != nil {
					t.Errorf("OfUnix: %+v, %v; want %+v", same, err, want)
				}
			}
			if got != want || err != nil {
				t.Errorf("got %+v, %v; want %+v", got, err, want)
			}
		})
	}
}

func wantUnknown(t *testing.T, d *Diag, c net.Conn) {
	t.Helper()
	if got, err := d.Of(c); !errors.Is(err, ErrUnknown) || got != (Caller{}) {
		t.Errorf("got %+v, %v; want ErrUnknown", got, err)
	}
}

// TestWhoeverHasNoNumberIsUnknown runs again as an agent in a user namespace that maps nobody,
// as "unshare -U" makes it: everybody shows there as one uid, the agent's own.
func TestWhoeverHasNoNumberIsUnknown(t *testing.T) {
	if os.Getenv("KEYTENDER_PEER_UNMAPPED") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), "KEYTENDER_PEER_UNMAPPED=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	d := newDiag(t)
	if !d.unmapped.some || d.unmapped.uid != uint32(os.Getuid()) {
		t.Fatalf("%+v for uid %d", d.unmapped, os.Getuid())
	}
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")} {
		server, _ := pair(t, network, address)
		wantUnknown(t, d, server)
		if u, ok := server.(*net.UnixConn); ok {
			if c, err := OfUnix(u); !errors.Is(err, ErrUnknown) || c != (Caller{}) {
				t.Errorf("OfUnix: %+v, %v", c, err)
			}
		}
	}
}

func TestClientThatHasClosedIsNotRoot(t *testing.T) {
	d := newDiag(t)
	for name, leave := range map[string]func(c *net.TCPConn) error{
		"closed":      (*net.TCPConn).Close,
		"half-closed": (*net.TCPConn).CloseWrite,
		"reset":       func(c *net.TCPConn) error { return errors.Join(c.SetLinger(0), c.Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			server, client := pair(t, "tcp", "127.0.0.1:0")
			if _, err := d.Of(server); err != nil {
				t.Errorf("while it is open: %v", err)
			}
			if _, err := client.Write([]byte("GET /v1/token")); err != nil {
				t.Fatal(err)
			}
			if err := leave(client.(*net.TCPConn)); err != nil {
				t.Fatal(err)
			}
			wantUnknown(t, d, server)
		})
	}
}

func TestWhoeverTakesTheClientsPortIsNotTheClient(t *testing.T) {
	d := newDiag(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// An address that no other program uses, so that its ports are ours alone.
	server, client := pairOn(t, l, net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 15, 39, 8)}})
	port := client.LocalAddr()
	if err := errors.Join(client.(*net.TCPConn).SetLinger(0), client.Close()); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", port.String())
	if err != nil {
		t.Fatal(err)
	}
	wantUnknown(t, d, server)
	listener.Close()

	again, _ := pairOn(t, l, net.Dialer{LocalAddr: port})
	if again.RemoteAddr().String() != server.RemoteAddr().String() {
		t.Fatal("not the same addresses")
	}
	if _, err := d.Of(again); err != nil {
		t.Errorf("the second client: %v", err)
	}
	wantUnknown(t, d, server)
}

func TestExactAddressesOnly(t *testing.T) {
	d := newDiag(t)
	server, _ := pair(t, "tcp", "127.0.0.1:0")
	q := question{addrPort(server.RemoteAddr()), addrPort(server.LocalAddr())}
	if uid, err := d.ask(q); err != nil || uid != uint32(os.Getuid()) {
		t.Errorf("the right addresses: %d, %v", uid, err)
	}
	near := func(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), a.Port()^1) }
	for name, wrong := range map[string]question{
		"other source port":      {near(q.source), q.destination},
		"other destination port": {q.source, near(q.destination)},
		"other address":          {netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), q.source.Port()), q.destination},
		"a listener":             {q.destination, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 9)},
		"no connection at all":   {netip.MustParseAddrPort("[::1]:9"), netip.MustParseAddrPort("[::1]:10")},
	} {
		if uid, err := d.ask(wrong); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %d, %v", name, uid, err)
		}
	}
}

func TestManyLookUpsAtOnce(t *testing.T) {
	d := newDiag(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	child, _ := connectChild(t, l, "tcp")
	mine, _ := pairOn(t, l, net.Dialer{})
	gone, client := pairOn(t, l, net.Dialer{})
	client.Close()
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for range 100 {
				if c, err := d.Of(child); err != nil || c.UID != childUID() {
					t.Errorf("child: %+v, %v", c, err)
				}
				if c, err := d.Of(mine); err != nil || c.UID != uint32(os.Getuid()) {
					t.Errorf("mine: %+v, %v", c, err)
				}
				wantUnknown(t, d, gone)
			}
		})
	}
	all.Wait()
}

func TestSilentNetlinkSocketIsReplaced(t *testing.T) {
	d := newDiag(t)
	server, _ := pair(t, "tcp", "127.0.0.1:0")
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	timeout := unix.NsecToTimeval((20 * time.Millisecond).Nanoseconds())
	if err := unix.SetsockoptTimeval(fds[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		t.Fatal(err)
	}
	unix.Close(d.socket)
	d.socket = fds[0]
	if c, err := d.Of(server); !errors.Is(err, unix.EAGAIN) || c.Known {
		t.Errorf("silent: %+v, %v", c, err)
	}
	if c, err := d.Of(server); err != nil || !c.Known {
		t.Errorf("after it: %+v, %v", c, err)
	}
}

func TestNobodyIsKnownAfterClose(t *testing.T) {
	d := newDiag(t)
	server, _ := pair(t, "tcp", "127.0.0.1:0")
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	if c, err := d.Of(server); !errors.Is(err, os.ErrClosed) || c.Known {
		t.Errorf("got %+v, %v", c, err)
	}
}
