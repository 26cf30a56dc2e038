package providertest

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// process is a server program that ends when its standard input does, so that a
// test that is killed leaves none behind.
type process struct {
	command *exec.Cmd

	mu      sync.Mutex // one order at a time
	in      io.WriteCloser
	out     *os.File
	answers *bufio.Reader // nil: it takes no orders
	end     sync.Once
}

// start starts the program with its start values as the last argument, if any.
func (p *process) start(t testing.TB, values any) {
	t.Helper()
	if values != nil {
		argument, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		p.command.Args = append(p.command.Args, string(argument))
	}
	in, err := p.command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	// A pipe of our own: unlike StdoutPipe it takes a deadline.
	out, far, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	p.in, p.out, p.answers = in, out, bufio.NewReader(out)
	p.command.Stdout, p.command.Stderr = far, t.Output()
	p.command.WaitDelay = 5 * time.Second
	if err := p.command.Start(); err != nil {
		t.Fatalf("start %s: %v", p.command.Path, err)
	}
	t.Cleanup(func() { p.stop(); out.Close() })
}

// read decodes the program's next line.
func (p *process) read(t testing.TB, into any) {
	t.Helper()
	p.out.SetReadDeadline(time.Now().Add(30 * time.Second))
	line, err := p.answers.ReadBytes('\n')
	if err != nil {
		t.Fatalf("hear from %s: %v", p.command.Path, err)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(line, into); err != nil {
		t.Fatalf("understand %s: %v: %q", p.command.Path, err, line)
	}
}

// order gives one command and waits for its answer.
func (p *process) order(t testing.TB, command string, argument, result any) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answers == nil {
		t.Fatalf("%s cannot %s", p.command.Path, command)
	}
	order := map[string]any{"command": command, "argument": argument}
	if err := json.NewEncoder(p.in).Encode(order); err != nil {
		t.Fatalf("order %s of %s: %v", command, p.command.Path, err)
	}
	p.read(t, &struct{ Result any }{result})
}

func (p *process) stop() {
	p.end.Do(func() {
		p.in.Close()
		timer := time.AfterFunc(5*time.Second, func() { p.command.Process.Kill() })
		defer timer.Stop()
		p.command.Wait()
	})
}
