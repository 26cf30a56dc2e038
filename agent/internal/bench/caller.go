package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// place is where callers ask, and what they send there: the same bytes for
// agent and bare server but for the port in Host.
type place struct {
	network, address string
	request          []byte
}

// tokenAt asks for a token at a door.
func tokenAt(network, address string) place {
	return getAt(network, address, "/v1/token?profile="+profile)
}

func getAt(network, address, path string) place {
	host := address
	if network == "unix" {
		host = "localhost"
	}
	return place{network, address, []byte("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nKeytender: 1\r\n\r\n")}
}

// answer is what came back. Its bytes are the caller's, until it asks again.
type answer struct {
	status int
	bytes  []byte // head and body
	body   []byte
}

// parsed is the answer as net/http reads it, for what need not be fast.
func (a answer) parsed() (*http.Response, error) {
	return http.ReadResponse(bufio.NewReader(bytes.NewReader(a.bytes)), nil)
}

// caller is a local program that asks: it writes a fixed request and reads
// until the answer is whole, and no more, so that what is measured is the
// server. It keeps its connection until it is told to close it. Not for
// several goroutines.
type caller struct {
	place  place
	limit  time.Duration
	conn   net.Conn
	buffer []byte
}

// askLimit is how long a caller waits who asks once.
const askLimit = 30 * time.Second

// newCaller makes a caller whose connections end after limit. A deadline for
// each request would be a cost of ours.
func newCaller(at place, limit time.Duration) *caller {
	return &caller{place: at, limit: limit, buffer: make([]byte, 16<<10)}
}

func (c *caller) dial() error {
	conn, err := net.Dial(c.place.network, c.place.address)
	if err != nil {
		return err
	}
	c.conn = conn
	return conn.SetDeadline(time.Now().Add(c.limit))
}

func (c *caller) close() {
	if c.conn != nil {
		_ = c.conn.Close() // nothing is left to be written
		c.conn = nil
	}
}

// ask sends the request and returns the whole answer.
func (c *caller) ask() (answer, error) {
	if err := c.send(); err != nil {
		return answer{}, err
	}
	return c.receive()
}

// send sends the request, on a new connection if there is none.
func (c *caller) send() error {
	if c.conn == nil {
		if err := c.dial(); err != nil {
			return err
		}
	}
	_, err := c.conn.Write(c.place.request)
	return err
}

func (c *caller) receive() (answer, error) {
	for got := 0; ; {
		n, err := c.conn.Read(c.buffer[got:])
		got += n
		a, whole, broken := readAnswer(c.buffer[:got])
		switch {
		case whole:
			return a, nil
		case broken != nil:
			return answer{}, broken
		case got == len(c.buffer):
			return answer{}, errors.New("the answer is too long")
		case errors.Is(err, io.EOF):
			return answer{}, io.ErrUnexpectedEOF
		case err != nil:
			return answer{}, err
		}
	}
}

// readAnswer takes apart what has come so far, and tells whether it is all.
// Both servers are net/http's, so Content-Length is spelled one way.
func readAnswer(b []byte) (_ answer, whole bool, err error) {
	const version, length = "HTTP/1.1 ", "\r\nContent-Length: "
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return answer{}, false, nil
	}
	head, body := b[:end+2], b[end+4:]
	at := bytes.Index(head, []byte(length))
	if at < 0 || !bytes.HasPrefix(head, []byte(version)) || len(head) < len(version)+3 {
		return answer{}, false, errors.New("not an HTTP/1.1 answer with Content-Length")
	}
	status, ok := number(head[len(version):])
	size, fine := number(head[at+len(length):])
	if !ok || !fine {
		return answer{}, false, errors.New("not a number in the answer's head")
	}
	if len(body) > size {
		return answer{}, false, errors.New("more bytes than the answer has")
	}
	return answer{status, b, body}, len(body) == size, nil
}

// number reads the digits with which b begins.
func number(b []byte) (n int, ok bool) {
	for i, c := range b {
		if c < '0' || c > '9' {
			return n, i > 0
		}
		n = n*10 + int(c-'0')
	}
	return n, len(b) > 0
}

// askOnce asks on a connection of its own and expects a success.
func askOnce(at place) (answer, error) {
	conn, err := net.Dial(at.network, at.address)
	if err != nil {
		return answer{}, err
	}
	return askOn(conn, at)
}

// askOn asks on a connection that stands already, expects a success and closes
// it.
func askOn(conn net.Conn, at place) (answer, error) {
	c := newCaller(at, askLimit)
	c.conn = conn
	defer c.close()
	if err := conn.SetDeadline(time.Now().Add(askLimit)); err != nil {
		return answer{}, err
	}
	a, err := c.ask()
	if err == nil {
		err = a.failure()
	}
	return a, err
}

// failure is nil for a success, else what the server said.
func (a answer) failure() error {
	if a.status == http.StatusOK {
		return nil
	}
	return fmt.Errorf("answered %d: %s", a.status, a.body)
}
