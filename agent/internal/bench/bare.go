package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// constant is what the bare server answers to everything.
type constant struct {
	Header http.Header
	Body   []byte
}

// constantOf is an answer of the agent, byte for byte but for the date, which
// net/http writes by itself on both sides.
func constantOf(a answer) (constant, error) {
	parsed, err := a.parsed()
	if err != nil {
		return constant{}, err
	}
	parsed.Header.Del("Date")
	return constant{parsed.Header, a.body}, nil
}

func (c constant) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	for name, values := range c.Header {
		h[name] = values
	}
	_, _ = w.Write(c.Body) // a caller who has gone is no error
}

// serveBare reads from in what to answer, listens on a unix socket and on TCP,
// tells the TCP address on out, and serves until in ends, as it does when the
// benchmark ends, however that happens.
func serveBare(in io.Reader, out io.Writer, socket string) error {
	var c constant
	words := json.NewDecoder(in)
	if err := words.Decode(&c); err != nil {
		return fmt.Errorf("read what to answer: %w", err)
	}
	unix, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, unix.Close())
	}
	if _, err := fmt.Fprintln(out, tcp.Addr()); err != nil {
		return errors.Join(err, unix.Close(), tcp.Close())
	}
	server := &http.Server{Handler: c}
	served := make(chan error, 2)
	for _, l := range []net.Listener{unix, tcp} {
		go func() { served <- server.Serve(l) }()
	}
	_, err = io.Copy(io.Discard, words.Buffered())
	if err == nil {
		_, err = io.Copy(io.Discard, in)
	}
	err = errors.Join(err, server.Close())
	for range cap(served) {
		if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
	}
	return err
}

// bare is the bare server as a child.
type bare struct {
	process *process
	places  []place // unix, tcp
}

// startBare has this program run again as the bare server that answers as a
// does.
func startBare(ctx context.Context, socket string, a answer) (*bare, error) {
	c, err := constantOf(a)
	if err != nil {
		return nil, err
	}
	words, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := child(ctx, filepath.Dir(socket), self, "-bare", socket)
	in, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p, err := launch(command)
	if err != nil {
		return nil, err
	}
	p.end = in.Close
	if _, err := in.Write(words); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return &bare{p, []place{tokenAt("unix", socket), tokenAt("tcp", strings.TrimSpace(address))}}, nil
}
