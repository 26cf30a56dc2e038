package door

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/peer"
	"keytender/agent/internal/session"
)

// ask gets one token and says how long that took.
func ask(t *testing.T, network, addr string) time.Duration {
	t.Helper()
	began := time.Now()
	host := "localhost"
	if network == "tcp" {
		host = addr
	}
	answer, body := say(t, network, addr, "GET /v1/token HTTP/1.1\r\nHost: "+host+"\r\nKeytender: 1\r\n\r\n")
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", answer.Status, body)
	}
	return time.Since(began)
}

// each runs a test on a unix socket and on TCP.
func onEach(t *testing.T, o Options, test func(t *testing.T, network, addr string)) {
	o.Caller = ourselves
	t.Run("unix", func(t *testing.T) { test(t, "unix", onUnix(t, NewWorkload(workload(t), o))) })
	t.Run("tcp", func(t *testing.T) { test(t, "tcp", onTCP(t, NewWorkload(workload(t), o))) })
}

func TestSilentConnectionIsClosed(t *testing.T) {
	onEach(t, Options{Limits: Limits{ReadHeaders: 50 * time.Millisecond, Idle: 80 * time.Millisecond}}, func(t *testing.T, network, addr string) {
		for what, said := range map[string]string{"nothing": "", "half a request": "GET /v1/token HTTP/1.1\r\nHo", "a whole one": "GET /livez HTTP/1.1\r\nHost: " + addr + "\r\nKeytender: 1\r\n\r\n"} {
			c, err := net.Dial(network, addr)
			if err != nil {
				t.Fatal(err)
			}
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			_, _ = io.WriteString(c, said)
			if _, err := io.Copy(io.Discard, c); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
				t.Errorf("%s: not closed", what)
			}
			c.Close()
		}
	})
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

func TestByteAtATimeKeepsNobodyWaiting(t *testing.T) {
	onEach(t, Options{Limits: Limits{ReadHeaders: 300 * time.Millisecond, Connections: 32}}, func(t *testing.T, network, addr string) {
		var all sync.WaitGroup
		ended := make(chan time.Duration, 64)
		for range cap(ended) {
			all.Go(func() {
				ended <- drip(network, addr, "GET /v1/token HTTP/1.1\r\nHost: "+addr+"\r\nX: "+strings.Repeat("x", 1000))
			})
		}
		for range 50 {
			if took := ask(t, network, addr); took > time.Second {
				t.Errorf("a token took %s", took)
			}
		}
		all.Wait()
		close(ended)
		for took := range ended {
			if took > 3*time.Second {
				t.Errorf("a slow request was read for %s", took)
			}
		}
	})
}

// drip sends a byte every 10 ms, and says for how long it could.
func drip(network, addr, what string) time.Duration {
	began := time.Now()
	c, err := net.Dial(network, addr)
	if err != nil {
		return 0
	}
	defer c.Close()
	for i := range len(what) {
		if _, err := io.WriteString(c, what[i:i+1]); err != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(began)
}

func TestTenMegabytesAreNotRead(t *testing.T) {
	const size = 10 << 20
	onEach(t, Options{}, func(t *testing.T, network, addr string) {
		for what, head := range map[string]string{
			"a body":                  "GET /v1/token HTTP/1.1\r\nHost: %s\r\nKeytender: 1\r\nContent-Length: 10485760\r\n\r\n",
			"a body for another path": "POST /v1/nothing HTTP/1.1\r\nHost: %s\r\nKeytender: 1\r\nContent-Length: 10485760\r\n\r\n",
			"chunks":                  "GET /v1/token HTTP/1.1\r\nHost: %s\r\nKeytender: 1\r\nTransfer-Encoding: chunked\r\n\r\nA00000\r\n",
			"a header":                "GET /v1/token HTTP/1.1\r\nHost: %s\r\nKeytender: 1\r\nX: ",
		} {
			c, err := net.Dial(network, addr)
			if err != nil {
				t.Fatal(err)
			}
			sent := make(chan int64, 1)
			go func() {
				n, _ := io.Copy(c, io.LimitReader(neverEnding('x'), size))
				sent <- n
			}()
			_, _ = fmt.Fprintf(c, head, addr)
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			answer, _ := io.ReadAll(c)
			c.Close()
			if n := <-sent; n > size/2 {
				t.Errorf("%s: %d bytes were taken", what, n)
			}
			if strings.Contains(string(answer), "access_token") {
				t.Errorf("%s: served", what)
			}
			ask(t, network, addr)
		}
	})
}

type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

func TestLongHeadersAreRefused(t *testing.T) {
	socket := onUnix(t, NewWorkload(workload(t), Options{}))
	answer, _ := say(t, "unix", socket, "GET /v1/token HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 16<<10+4097)+"\r\n\r\n")
	if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Error(answer.Status)
	}
}

// TestOneCallerCannotTakeAllPlaces: whoever waits for more than is allowed is
// told to slow down, and another caller is served meanwhile.
func TestOneCallerCannotTakeAllPlaces(t *testing.T) {
	release := make(chan struct{})
	var waiting atomic.Int32
	w := workload(t)
	token := aToken(t)
	w.Token = func(ctx context.Context, c peer.Caller, _ TokenRequest) (*session.Token, bool, error) {
		if c.UID == 1 {
			waiting.Add(1)
			<-release
		}
		return token, true, nil
	}
	var uid atomic.Uint32
	uid.Store(1)
	s := NewWorkload(w, Options{
		Caller: func(net.Conn) (peer.Caller, error) { return peer.Caller{Known: true, UID: uid.Load()}, nil },
		Limits: Limits{Waiting: 4, Patience: 10 * time.Millisecond},
	})
	addr := onTCP(t, s)
	request := "GET /v1/token HTTP/1.1\r\nHost: " + addr + "\r\nKeytender: 1\r\n\r\n"
	var all sync.WaitGroup
	var served, slowed atomic.Int32
	for range 12 {
		all.Go(func() {
			answer, body := say(t, "tcp", addr, request)
			switch {
			case answer.StatusCode == 200:
				served.Add(1)
			case answer.StatusCode == 429 && answer.Header.Get("Retry-After") == "1" && strings.Contains(body, "slow_down"):
				if slowed.Add(1) == 8 {
					uid.Store(2)
					ask(t, "tcp", addr)
					close(release)
				}
			default:
				t.Errorf("%s %s", answer.Status, body)
			}
		})
	}
	all.Wait()
	if served.Load() != 4 || slowed.Load() != 8 {
		t.Errorf("%d served, %d slowed down", served.Load(), slowed.Load())
	}
}

func TestWaitingLongerThanTheTimesForReading(t *testing.T) {
	w := workload(t)
	answered := w.Token
	w.Token = func(ctx context.Context, c peer.Caller, r TokenRequest) (*session.Token, bool, error) {
		select {
		case <-time.After(300 * time.Millisecond):
			return answered(ctx, c, r)
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
	short := 50 * time.Millisecond
	socket := onUnix(t, NewWorkload(w, Options{Limits: Limits{ReadHeaders: short, ReadBody: short, Write: short, Idle: short}}))
	if _, err := client(t, socket).Token(t.Context(), api.TokenRequest{}); err != nil {
		t.Error(err)
	}
}

// TestEveryAnswerHasItsTimeForWriting: never more than the limit, never less
// than nine tenths of it, and a busy line does not pay for it each time.
func TestEveryAnswerHasItsTimeForWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 10 * time.Second
		w := &deadlines{}
		x := exchange{server: newServer(Options{Limits: Limits{Write: limit}}, false), line: &line{}, w: w}
		for range 300 {
			x.extend()
			if left := time.Until(w.last); left > limit || left < limit*9/10 {
				t.Fatalf("%s left for writing", left)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if w.set != 30 {
			t.Errorf("%d deadlines in 30 seconds", w.set)
		}
		time.Sleep(time.Hour)
		x.extend()
		if left := time.Until(w.last); left != limit {
			t.Errorf("%s left for writing on a line that was idle", left)
		}
	})
}

// deadlines is an answer that only notes when it would have to be written.
type deadlines struct {
	http.ResponseWriter
	last time.Time
	set  int
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.last = t
	d.set++
	return nil
}

// TestSlowBodyThatNobodyWants: what comes after the answer is not waited for.
func TestSlowBodyThatNobodyWants(t *testing.T) {
	onEach(t, Options{}, func(t *testing.T, network, addr string) {
		for _, target := range []string{"POST /v1/token", "GET /v1/token", "POST /nothing", "PUT /v1/status"} {
			c, err := dial(network, addr)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_ = c.SetDeadline(began.Add(5 * time.Second))
			_, _ = fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: %s\r\nKeytender: 1\r\nContent-Length: 20\r\n\r\n{", target, addr)
			if answer, err := io.ReadAll(c); isTimeout(err) || !strings.HasPrefix(string(answer), "HTTP/1.1 40") {
				t.Errorf("%s: %v after %s: %.40s", target, err, time.Since(began), answer)
			}
			c.Close()
		}
	})
}
