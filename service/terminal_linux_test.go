package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal with a command on it: what a person would see
// and type.
type terminal struct {
	t     *testing.T
	hand  *os.File // the person's side
	tty   *os.File // the command's side
	shown chan string
	seen  strings.Builder
	cmd   *exec.Cmd
}

// onTerminal starts a command on a new terminal.
func onTerminal(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	hand, tty := openTerminal(t)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, hand: hand, tty: tty, shown: make(chan string), cmd: cmd}
	go x.watch()
	return x
}

func openTerminal(t *testing.T) (hand, tty *os.File) {
	t.Helper()
	hand, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(hand.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(hand.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close(); hand.Close() })
	keepOutput(t, tty)
	return hand, tty
}

// keepOutput has Ctrl-C not flush the terminal: it can take away what the
// interrupted command says about it.
func keepOutput(t *testing.T, tty *os.File) {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	state.Lflag |= unix.NOFLSH
	if err := unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, state); err != nil {
		t.Fatal(err)
	}
}

// watch reads what is shown until the terminal is closed.
func (x *terminal) watch() {
	defer close(x.shown)
	for buffer := make([]byte, 4096); ; {
		n, err := x.hand.Read(buffer)
		if n > 0 {
			x.shown <- string(buffer[:n])
		}
		if err != nil {
			return
		}
	}
}

// until waits until text has been shown.
func (x *terminal) until(text string) {
	x.t.Helper()
	over := time.After(20 * time.Second)
	for !strings.Contains(x.seen.String(), text) {
		select {
		case s := <-x.shown:
			x.seen.WriteString(s)
		case <-over:
			x.t.Fatalf("%q is not shown, but: %s", text, x.seen.String())
		}
	}
}

func (x *terminal) typed(text string) {
	x.t.Helper()
	if _, err := io.WriteString(x.hand, text); err != nil {
		x.t.Fatal(err)
	}
}

// ends waits for the end of the command. It returns its exit status, all that
// was shown, and whether the terminal is left showing what is typed.
func (x *terminal) ends() (status int, shown string, echoes bool) {
	ended := make(chan bool, 1)
	go func() {
		_ = x.cmd.Wait()
		ended <- x.echoes()
		x.tty.Close() // the last one: what is shown comes to its end
	}()
	for s := range x.shown {
		x.seen.WriteString(s)
	}
	echoes = <-ended
	return x.cmd.ProcessState.ExitCode(), x.seen.String(), echoes
}

// waitForEcho waits until the command has switched the echo.
func (x *terminal) waitForEcho(on bool) {
	x.t.Helper()
	for range 200 {
		if x.echoes() == on {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	x.t.Fatalf("echo does not become %v", on)
}

func (x *terminal) echoes() bool {
	state, err := unix.IoctlGetTermios(int(x.tty.Fd()), unix.TCGETS)
	if err != nil {
		x.t.Error(err)
		return false
	}
	return state.Lflag&unix.ECHO != 0
}
