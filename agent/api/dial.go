package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// answerLimit bounds what a client reads of one answer.
const answerLimit = 16 << 20

// errLastEvent ends the reading of events without an error.
var errLastEvent = errors.New("last event")

// door is the client's end of one socket.
type door struct {
	socket string
	http   *http.Client
}

// newDoor is the end of a socket; with keep, connections are kept for further
// requests.
func newDoor(socket string, keep bool) *door {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return connect(ctx, socket) }
	return &door{socket: socket, http: &http.Client{
		Transport: &http.Transport{
			DialContext:         dial,
			DisableKeepAlives:   !keep,
			MaxIdleConns:        64,
			MaxIdleConnsPerHost: 64,
			IdleConnTimeout:     30 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// connect connects to a socket that only root, this user or the machine's
// agent can be behind; else nothing is sent.
func connect(ctx context.Context, socket string) (net.Conn, error) {
	if socket == "" {
		return nil, &Error{
			Code:        Unavailable,
			Description: "its socket cannot be looked for: this user has neither a runtime directory nor a home",
			Hint:        "name the socket with --socket or KEYTENDER_SOCKET, or set HOME",
		}
	}
	if err := trusted(socket); err != nil {
		return nil, err
	}
	c, err := dial(ctx, socket)
	if err != nil {
		return nil, err
	}
	if err := trustedListener(c, socket); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// dial waits, for half a second in all, while more clients connect at once
// than the socket can hold, which on Linux is EAGAIN.
func dial(ctx context.Context, socket string) (net.Conn, error) {
	for pause := 4 * time.Millisecond; ; pause *= 2 {
		c, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if !errors.Is(err, syscall.EAGAIN) || pause > 256*time.Millisecond {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// call sends body, if any, as JSON and reads the answer into out, if any.
func (d *door) call(ctx context.Context, method, path string, body, out any) error {
	answer, err := d.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, answerLimit))
	} else {
		err = json.NewDecoder(io.LimitReader(answer.Body, answerLimit)).Decode(out)
	}
	if err != nil {
		return d.broken(err)
	}
	return nil
}

// copy copies the body of the answer to w.
func (d *door) copy(ctx context.Context, path string, w io.Writer) error {
	answer, err := d.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(w, answer.Body); err != nil {
		return d.broken(err)
	}
	return nil
}

// events reads server-sent events until each returns an error; errLastEvent
// ends them well.
func (d *door) events(ctx context.Context, path string, body any, each func(name string, data []byte) error) error {
	answer, err := d.send(ctx, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(io.LimitReader(answer.Body, answerLimit))
	lines.Buffer(nil, 1<<20)
	name := ""
	for lines.Scan() {
		line := lines.Text()
		if event, ok := strings.CutPrefix(line, "event: "); ok {
			name = event
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		err := each(name, []byte(data))
		if errors.Is(err, errLastEvent) {
			return nil
		}
		if failed, ok := errors.AsType[*Error](err); ok {
			return failed
		}
		if err != nil {
			return d.broken(err)
		}
	}
	if err := lines.Err(); err != nil {
		return d.broken(err)
	}
	return d.broken(io.ErrUnexpectedEOF)
}

// send sends one request and returns the answer if it is a success.
func (d *door) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, &Error{Code: InvalidRequest, Description: "encode the request: " + err.Error()}
		}
		content = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, content)
	if err != nil {
		return nil, &Error{Code: InvalidRequest, Description: "make the request: " + err.Error()}
	}
	r.Header.Set("Keytender", "1")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := d.http.Do(r)
	if err != nil {
		return nil, d.unreachable(ctx, err)
	}
	if answer.StatusCode/100 == 2 {
		return answer, nil
	}
	defer answer.Body.Close()
	failed := new(Error)
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(failed); err != nil || failed.Code == "" {
		return nil, d.broken(fmt.Errorf("status %d without an error message", answer.StatusCode))
	}
	return nil, failed
}

// unreachable tells why nobody answered.
func (d *door) unreachable(ctx context.Context, err error) *Error {
	var refused *Error
	switch {
	case errors.As(err, &refused):
		return refused
	case ctx.Err() != nil:
		return &Error{Code: Unavailable, Description: "the agent did not answer in time on " + d.socket, Hint: `look at "keytender status"`}
	case errors.Is(err, errNoAccess):
		return &Error{Code: AccessDenied, Description: "no access to " + d.socket, Hint: "ask as the OS user that runs the agent, or as a member of the group keytender"}
	case errors.Is(err, syscall.EAGAIN):
		return &Error{Code: Unavailable, Description: "too many clients wait for the agent on " + d.socket, Hint: "ask again in a second", RetryAfter: 1}
	case d.dialFailed(err):
		return &Error{Code: Unavailable, Description: "nobody listens on " + d.socket, Hint: startHint(d.socket)}
	default:
		return &Error{Code: Unavailable, Description: "the agent on " + d.socket + " hung up before it had answered", Hint: "ask again; it may be restarting"}
	}
}

func (d *door) dialFailed(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	return ok && failed.Op == "dial" || errors.Is(err, fs.ErrNotExist)
}

func startHint(socket string) string {
	if socket == MachineSocket || socket == MachineAdminSocket {
		return `start the agent with "systemctl start keytender"`
	}
	hint := `start the agent with "keytender run" in a terminal, or with "keytender service start --user" where it is installed`
	if dir := passedOver(); dir != "" && filepath.Dir(socket) == UserRuntimeDir() {
		hint += "; XDG_RUNTIME_DIR says " + dir + ", which is not there or not this user's, and was passed over"
	}
	return hint
}

// broken tells that what answered does not speak as an agent does.
func (d *door) broken(err error) *Error {
	return &Error{
		Code:        Unavailable,
		Description: "the answer on " + d.socket + " broke off or is not an agent's (" + err.Error() + ")",
		Hint:        `ask again, and if it stays so, restart the agent`,
	}
}
