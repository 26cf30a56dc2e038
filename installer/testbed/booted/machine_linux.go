package booted

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"keytender/installer/testbed"
)

//go:embed box.sh
var box string

//go:embed inside.sh
var inside string

// Options says what a machine has beside its Debian. The zero value adds nothing.
type Options struct {
	Files map[string]string // from a path on this machine to one in the machine; it cannot write to them
}

// Machine is a running machine. Its methods are for one goroutine.
type Machine struct {
	name    string
	box     *exec.Cmd
	life    io.Closer     // the box's standard input
	notices *net.UnixConn // what systemd-nspawn tells of the boots; closed when the box has ended
	ended   chan struct{} // closed then, too
	console console
	leader  int // the machine's first process, by its number outside
}

// Times that are never needed where all is well.
const (
	bootTime    = 90 * time.Second
	commandTime = 60 * time.Second
	endTime     = 20 * time.Second
)

// Start boots a machine, which has started all its units when Start returns. Where it cannot,
// or the Debian is not prepared, the test fails. A test that fails has the journal in its log.
func Start(t testing.TB, o Options) *Machine {
	t.Helper()
	tree, err := testbed.Debian().Find()
	if err != nil {
		t.Fatal(err)
	}
	if err := asRoot("true").Run(); err != nil {
		t.Fatalf("boot a machine: only root can: run the tests as root, or \"sudo -v\" before them: %v", err)
	}
	m := &Machine{name: "booted-" + strings.ToLower(rand.Text()[:10]), ended: make(chan struct{})}
	m.notices, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "@" + m.name, Net: "unixgram"})
	if err != nil {
		t.Fatalf("boot a machine: hear of the boot: %v", err)
	}
	if err := m.startBox(tree, o.Files); err != nil {
		m.notices.Close()
		t.Fatalf("boot a machine: %v", err)
	}
	t.Cleanup(func() { m.end(t) })
	m.awaitBoot(t)
	return m
}

func (m *Machine) startBox(tree string, files map[string]string) (err error) {
	args := []string{"unshare", "--mount", "bash", "-c", box, "box", inside, m.name, tree}
	escape := strings.NewReplacer(`\`, `\\`, ":", `\:`).Replace
	for outside, within := range files {
		outside, err := filepath.Abs(outside)
		if err != nil {
			return err
		}
		args = append(args, "--bind-ro="+escape(outside)+":"+escape(within))
	}
	m.box = asRoot(args...)
	m.box.Stdout, m.box.Stderr = &m.console, &m.console
	m.box.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the test, whose end the box hears of
	m.box.WaitDelay = time.Second
	if m.life, err = m.box.StdinPipe(); err != nil {
		return err
	}
	if err := m.box.Start(); err != nil {
		return err
	}
	go func() {
		defer close(m.ended)
		_ = m.box.Wait() // what it has to say of its end is on the console
		m.notices.Close()
	}()
	return nil
}

// asRoot is a command that root runs: sudo's, if this process is not root.
func asRoot(args ...string) *exec.Cmd {
	if os.Geteuid() != 0 {
		args = append([]string{"sudo", "-n"}, args...)
	}
	return exec.Command(args[0], args[1:]...)
}

// Reboot has systemd stop all units and boot again. What is on disk stays.
func (m *Machine) Reboot(t testing.TB) {
	t.Helper()
	m.reboot(t, "systemctl", "reboot")
}

// Crash is the end of a machine as by a power cut, after which it boots again: no process of it
// is asked to end, and none ends well. What has been written is on disk, synced or not.
func (m *Machine) Crash(t testing.TB) {
	t.Helper()
	m.reboot(t, "systemctl", "reboot", "--force", "--force")
}

func (m *Machine) reboot(t testing.TB, argv ...string) {
	t.Helper()
	_, _ = m.enter(argv...) // which may end with the machine
	m.awaitBoot(t)
}

// awaitBoot waits for the next boot to begin, and for systemd to have started all there is.
func (m *Machine) awaitBoot(t testing.TB) {
	t.Helper()
	if err := m.hearBoot(); err != nil {
		t.Fatalf("boot: %v: its console said:\n%s", err, m.console.String())
	}
	state := m.Run(t, "systemctl", "is-system-running", "--wait")
	switch strings.TrimSpace(state.Out) {
	case "running":
	case "degraded":
		t.Logf("these units failed to start:\n%s", m.Run(t, "systemctl", "list-units", "--failed", "--plain", "--no-legend").Out)
	default:
		t.Fatalf("systemd is %s", state)
	}
}

// hearBoot waits until a boot has begun and ended well, see sd_notify(3) and, of
// what systemd-nspawn sends by itself, --notify-ready in systemd-nspawn(1).
func (m *Machine) hearBoot() error {
	_ = m.notices.SetReadDeadline(time.Now().Add(bootTime)) // fails only if closed, as the next read tells
	leader := ""
	for notice := make([]byte, 4096); ; {
		n, err := m.notices.Read(notice)
		if errors.Is(err, net.ErrClosed) {
			return errors.New("the machine ended")
		}
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(notice[:n])) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch {
			case name == "X_NSPAWN_LEADER_PID":
				leader = value
			case name == "READY" && value == "1" && leader != "":
				m.leader, err = find(m.box.Process.Pid, leader)
				return err
			}
		}
	}
}

// end ends the machine at once, as everything in it is the test's own.
func (m *Machine) end(t testing.TB) {
	if t.Failed() && m.leader != 0 {
		journal, err := m.enter("journalctl", "--boot", "--no-pager", "--output=short-monotonic", "--lines=200")
		t.Logf("the machine's journal (%v):\n%s%s", err, journal.Out, journal.Err)
	}
	m.life.Close()
	select {
	case <-m.ended:
	case <-time.After(endTime):
		t.Errorf("the machine %s does not end", m.name)
	}
}

// console is what was shown on the machine's console.
type console struct {
	mu    sync.Mutex
	shown bytes.Buffer
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown.Write(p)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown.String()
}
