package testbed

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// Process is a server program that ends when its standard input does, so that a
// test that is killed leaves none behind.
//
//	test ──JSON lines on stdin──► server process ──one answer a line on stdout──► test
type Process struct {
	command *exec.Cmd

	mu      sync.Mutex // one order at a time
	in      io.WriteCloser
	out     *os.File
	answers *bufio.Reader // nil: it takes no orders and says nothing
	end     sync.Once
}

// Start starts the command with its start values as JSON in the last argument.
// One without start values takes no orders. It ends with the test.
func Start(t Test, command *exec.Cmd, values any) *Process {
	t.Helper()
	p := &Process{command: command}
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
	p.in, p.out = in, out
	if values != nil {
		p.answers = bufio.NewReader(out)
	}
	p.command.Stdout, p.command.Stderr = far, t.Output()
	p.command.WaitDelay = 5 * time.Second
	if err := p.command.Start(); err != nil {
		t.Fatalf("start %s: %v", p.command.Path, err)
	}
	t.Cleanup(func() { p.Stop(); out.Close() })
	return p
}

// Read decodes the program's next line. The first one is what it says of itself,
// its address say; all later ones answer orders, so Order reads them.
func (p *Process) Read(t Test, into any) {
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

// Order gives one command, {"command":…,"argument":…}, and decodes "result" of
// the line that answers it. Orders of many goroutines wait for each other.
func (p *Process) Order(t Test, command string, argument, result any) {
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
	p.Read(t, &struct{ Result any }{result})
}

// Stop ends the program, by force where its standard input does not end it in 5 s.
func (p *Process) Stop() {
	p.end.Do(func() {
		p.in.Close()
		timer := time.AfterFunc(5*time.Second, func() { p.command.Process.Kill() })
		defer timer.Stop()
		p.command.Wait()
	})
}
