package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const strangersUID = 12345

// listenAs tells a process of another OS user where to listen.
const listenAs = "KEYTENDER_TEST_LISTEN_AT"

// TestListenerOfAnotherUser: whatever the path looks like, who listens at the
// other end must be root or the same user, or nothing is sent. Who is not root
// cannot become another user: the kernel's word is then held against another.
func TestListenerOfAnotherUser(t *testing.T) {
	if at := os.Getenv(listenAs); at != "" {
		listenAsStranger(at)
		return
	}
	dir := t.TempDir()
	own := filepath.Join(dir, "own.sock")
	l, err := net.Listen("unix", own)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", own)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	uid, err := listenerOf(c)
	if err != nil || int(uid) != os.Getuid() {
		t.Fatalf("our own listener has uid %d, %v", uid, err)
	}
	if err := trustedListener(c, own); err != nil {
		t.Error(err)
	}
	if os.Getuid() == 0 {
		strangerGetsNothing(t, dir)
	} else if err := mayListen(uid, own, int(uid)+1); !isRefused(err) {
		t.Errorf("another's listener: %v", err)
	}
}

// strangerGetsNothing puts the socket of another user's process where only
// ours could be, as a swap does after the path was checked.
func strangerGetsNothing(t *testing.T, dir string) {
	public, err := os.MkdirTemp("", "kt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(public) })
	theirs := filepath.Join(public, "evil.sock")
	if err := os.Chmod(public, 0o777); err != nil {
		t.Fatal(err)
	}
	heard := startStranger(t, theirs)
	socket := filepath.Join(dir, "keytender.sock")
	if err := os.Rename(theirs, socket); err != nil {
		t.Fatal(err)
	}
	a := &Admin{Socket: socket}
	defer a.Close()
	_, err = a.Pair(t.Context(), Pairing{Name: "invoices", Secret: "canary"}, nil)
	if !isRefused(err) {
		t.Errorf("got %v", err)
	}
	if got, err := io.ReadAll(heard); err != nil || len(got) > 0 {
		t.Errorf("the stranger heard %q, %v", got, err)
	}
}

// startStranger returns, once another user's process listens at socket, what
// its first caller will have said.
func startStranger(t *testing.T, socket string) io.Reader {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$")
	cmd.Env, cmd.Dir, cmd.Stderr = append(os.Environ(), listenAs+"="+socket, "GORACE=atexit_sleep_ms=0"), "/", os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: strangersUID, Gid: strangersUID}}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	said := bufio.NewReader(out)
	if line, err := said.ReadString('\n'); line != "listening\n" {
		t.Fatalf("the stranger says %q, %v", line, err)
	}
	return said
}

// listenAsStranger is the stranger's process: it tells what its caller says.
func listenAsStranger(socket string) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		panic(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	fmt.Println("listening")
	c, err := l.Accept()
	if err != nil {
		panic(err)
	}
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	said, _ := io.ReadAll(c)
	os.Stdout.Write(said)
	os.Exit(0) // the test has nothing more to say
}

func isRefused(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == AccessDenied
}

// TestBusySocketIsWaitedFor: a socket holds only so many who are not accepted
// yet; the next gets EAGAIN.
func TestBusySocketIsWaitedFor(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "k.sock")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		err = errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: socket}), syscall.Listen(fd, 0))
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.FileListener(os.NewFile(uintptr(fd), socket))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for err == nil {
		var c net.Conn
		if c, err = net.Dial("unix", socket); err == nil {
			defer c.Close()
		}
	}
	if !errors.Is(err, syscall.EAGAIN) {
		t.Fatalf("a full socket says %v", err)
	}
	for _, accepts := range []bool{false, true} {
		if accepts {
			time.AfterFunc(50*time.Millisecond, func() {
				for c, err := l.Accept(); err == nil; c, err = l.Accept() {
					go answerEmpty(c)
				}
			})
		}
		client := &Client{Socket: socket}
		defer client.Close()
		if _, err := client.Status(context.Background()); accepts != (err == nil) {
			t.Errorf("accepts %v: %v", accepts, err)
		} else if e, ok := errors.AsType[*Error](err); ok && (e.Code != Unavailable || e.RetryAfter == 0) {
			t.Errorf("%+v", e)
		}
	}
}

func answerEmpty(c net.Conn) {
	defer c.Close()
	if n, err := c.Read(make([]byte, 4096)); n > 0 && err == nil {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}")
	}
}
