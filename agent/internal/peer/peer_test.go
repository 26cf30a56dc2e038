package peer

import (
	"errors"
	"io"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
)

// pair returns both ends of a connection to a listener of its own.
func pair(t testing.TB, network, address string) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return pairOn(t, l, net.Dialer{})
}

func pairOn(t testing.TB, l net.Listener, d net.Dialer) (server, client net.Conn) {
	t.Helper()
	client, err := d.DialContext(t.Context(), l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server, client
}

func newDiag(t testing.TB) *Diag {
	t.Helper()
	d, err := NewDiag()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestUserIsNameOrNumber(t *testing.T) {
	var n names
	if me, err := user.LookupId(strconv.Itoa(os.Getuid())); err == nil {
		uid := uint32(os.Getuid())
		if User(uid) != me.Username || n.of(uid) != me.Username || n.of(uid) != me.Username {
			t.Errorf("uid %d: %q, %q; want %q", uid, User(uid), n.of(uid), me.Username)
		}
	}
	if got := User(4000123456); got != "4000123456" {
		t.Errorf("unknown uid is called %q", got)
	}
	for uid := range uint32(3 * maxNames) {
		n.of(3_000_000_000 + uid)
	}
	if len(n.known) > maxNames {
		t.Errorf("%d names are remembered", len(n.known))
	}
}

func TestOtherConnectionsAreNotKnown(t *testing.T) {
	d := newDiag(t)
	a, b := net.Pipe()
	defer errors.Join(a.Close(), b.Close())
	if c, err := d.Of(a); err == nil || c != (Caller{}) {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestOverflowUIDIsAUserWhereAllAreMapped(t *testing.T) {
	nobody, other := Caller{Known: true, UID: 65534}, Caller{Known: true, UID: 1000}
	if c, err := (unmapped{}).reject(Caller{Known: true}); err != nil || !c.Known {
		t.Errorf("root: %+v, %v", c, err)
	}
	if c, err := (unmapped{uid: 65534}).reject(nobody); err != nil || c != nobody {
		t.Errorf("all mapped: %+v, %v", c, err)
	}
	if c, err := (unmapped{65534, true}).reject(other); err != nil || c != other {
		t.Errorf("another user: %+v, %v", c, err)
	}
	if c, err := (unmapped{65534, true}).reject(nobody); !errors.Is(err, ErrUnknown) || c.Known {
		t.Errorf("anybody: %+v, %v", c, err)
	}
}

func TestWithoutAnAnswerNobodyIsKnown(t *testing.T) {
	if runtime.GOOS == "linux" {
		return // the Linux tests cover it case by case
	}
	server, _ := pair(t, "tcp", "127.0.0.1:0")
	if c, err := newDiag(t).Of(server); !errors.Is(err, errors.ErrUnsupported) || c != (Caller{}) {
		t.Errorf("got %+v, %v", c, err)
	}
}

func BenchmarkOfUnix(b *testing.B) {
	server, _ := pair(b, "unix", filepath.Join(b.TempDir(), "s"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := OfUnix(server.(*net.UnixConn)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUser(b *testing.B) {
	for b.Loop() {
		User(12345)
	}
}

func BenchmarkDiagOf(b *testing.B) {
	tcp, _ := pair(b, "tcp", "127.0.0.1:0")
	unix, _ := pair(b, "unix", filepath.Join(b.TempDir(), "s"))
	d := newDiag(b)
	for _, c := range []net.Conn{tcp, unix} {
		b.Run(c.LocalAddr().Network(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Of(c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// hold keeps a child's connection open until its standard input ends.
func hold(c io.Closer) {
	os.Stdout.WriteString("connected\n")
	io.Copy(io.Discard, os.Stdin)
	c.Close()
}
