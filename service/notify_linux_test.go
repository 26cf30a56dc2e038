package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestManagerIsTold has the agent tell a service manager, as systemd would
// hear it, when it is ready, reloading and stopping.
func TestManagerIsTold(t *testing.T) {
	dir := t.TempDir()
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	var log strings.Builder
	c := exec.Command("keytender", "run", "--mode", "user", "--ephemeral",
		"--state", filepath.Join(dir, "state"), "--socket", filepath.Join(dir, "run", "keytender.sock"))
	c.Env = append(os.Environ(), "NOTIFY_SOCKET="+manager.LocalAddr().String(), "XDG_CONFIG_HOME="+dir, "JOURNAL_STREAM=1:2")
	c.Stderr = &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill()

	hears(t, manager, "READY=1")
	send(t, c, syscall.SIGHUP)
	hears(t, manager, "RELOADING=1\nMONOTONIC_USEC=")
	hears(t, manager, "READY=1")
	send(t, c, syscall.SIGTERM)
	hears(t, manager, "STOPPING=1")
	if err := c.Wait(); err != nil {
		t.Errorf("the agent ends with %v", err)
	}
	if strings.Contains(log.String(), "time=") || !strings.Contains(log.String(), `msg="configuration read again"`) {
		t.Errorf("the log for a journal: %s", log.String())
	}
}

func send(t *testing.T, c *exec.Cmd, s os.Signal) {
	t.Helper()
	if err := c.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func hears(t *testing.T, manager *net.UnixConn, want string) {
	t.Helper()
	if err := manager.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 1024)
	n, err := manager.Read(buffer)
	if err != nil {
		t.Fatalf("waiting for %q: %v", want, err)
	}
	if got := string(buffer[:n]); !strings.HasPrefix(got, want) {
		t.Fatalf("the manager hears %q, not %q", got, want)
	}
}
