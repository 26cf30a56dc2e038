package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server that runs as a child of the benchmark.
type process struct {
	command *exec.Cmd
	said    bytes.Buffer // on standard error; read once it has ended
	end     func() error // tells it to end
}

// child is a command whose environment is the same for both servers and holds
// nothing of the person who runs the benchmark but where to find things and
// how many processors to use. It is asked to end when ctx ends.
func child(ctx context.Context, home, program string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, program, args...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = stopLimit
	c.Dir = home
	c.Env = []string{
		"HOME=" + home,
		"XDG_CONFIG_HOME=" + filepath.Join(home, "config"),
		"XDG_STATE_HOME=" + filepath.Join(home, "state"),
		"XDG_RUNTIME_DIR=" + filepath.Join(home, "run"),
	}
	for _, name := range []string{"PATH", "GOMAXPROCS"} {
		if value, ok := os.LookupEnv(name); ok {
			c.Env = append(c.Env, name+"="+value)
		}
	}
	return c
}

// stopLimit is how long a server may take to end before it is killed.
const stopLimit = 20 * time.Second

func launch(c *exec.Cmd) (*process, error) {
	p := &process{command: c, end: func() error { return c.Process.Signal(syscall.SIGTERM) }}
	c.Stderr = &p.said
	return p, c.Start()
}

// stop has the process end in good order. If it ended in any other, now or
// before, the error tells why in its own words.
func (p *process) stop() error {
	told := p.end()
	if errors.Is(told, os.ErrProcessDone) {
		told = nil
	}
	late := time.AfterFunc(stopLimit, func() { _ = p.command.Process.Kill() })
	defer late.Stop()
	ended := p.command.Wait()
	if ended == nil {
		return told
	}
	return fmt.Errorf("%s: %w: %s", filepath.Base(p.command.Path), ended, bytes.TrimSpace(p.said.Bytes()))
}

// memory is a line of /proc/PID/status, VmRSS or VmHWM, in bytes.
func (p *process) memory(line string) (int64, error) {
	status, err := os.ReadFile(p.proc("status"))
	if err != nil {
		return 0, fmt.Errorf("read the memory of a process (this needs Linux): %w", err)
	}
	for text := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(text, line+":"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no %s in %s", line, p.proc("status"))
}

// cpu is the processor time that the process has used so far, to 10 ms.
func (p *process) cpu() (time.Duration, error) {
	const tick = 10 * time.Millisecond // USER_HZ, the same on every Linux
	stat, err := os.ReadFile(p.proc("stat"))
	if err != nil {
		return 0, fmt.Errorf("read the processor time of a process (this needs Linux): %w", err)
	}
	// proc_pid_stat(5): utime and stime are fields 14 and 15, and field 2 may hold spaces.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("%s is too short", p.proc("stat"))
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick, err
}

func (p *process) proc(file string) string {
	return filepath.Join("/proc", strconv.Itoa(p.command.Process.Pid), file)
}
