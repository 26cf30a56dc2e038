package door

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/peer"
	"keytender/agent/internal/session"
)

func TestTokenOverBothListeners(t *testing.T) {
	var came []TokenRequest
	w := workload(t)
	token := aToken(t)
	w.Token = func(_ context.Context, c peer.Caller, r TokenRequest) (*session.Token, bool, error) {
		if !c.Known || int(c.UID) != os.Getuid() {
			t.Errorf("caller %+v", c)
		}
		came = append(came, r)
		return token, false, nil
	}
	s := NewWorkload(w, Options{Caller: ourselves})
	socket, addr := onUnix(t, s), onTCP(t, s)
	c := client(t, socket)
	got, err := c.Token(t.Context(), api.TokenRequest{Profile: "invoices", Scopes: []string{"OR.Jobs", "OR.Queues"}, MinValid: time.Minute, Wait: time.Second, Rejected: "0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	if got.AccessToken != token.Access().Reveal() || got.MinValidMet == nil || *got.MinValidMet {
		t.Errorf("got %v", got)
	}
	want := TokenRequest{Profile: "invoices", Scope: "OR.Jobs OR.Queues", MinValid: time.Minute, Wait: time.Second, Rejected: "0123456789abcdef", Door: "unix"}
	if came[0] != want {
		t.Errorf("asked %+v", came[0])
	}
	answer, body := say(t, "tcp", addr, "GET /v1/token HTTP/1.1\r\nHost: "+addr+"\r\nKeytender: 1\r\n\r\n")
	if answer.StatusCode != http.StatusOK || !json.Valid([]byte(body)) || came[1] != (TokenRequest{Door: "tcp"}) {
		t.Errorf("%s %s %+v", answer.Status, body, came[1])
	}
}

func TestEveryAnswerIsJSONThatNobodyKeeps(t *testing.T) {
	w := workload(t)
	w.Status = func(context.Context, peer.Caller) (api.Status, error) { return api.Status{}, errBoom }
	socket := onUnix(t, NewWorkload(w, Options{}))
	for request, status := range map[string]int{
		get("/v1/token"):            200,
		get("/v1/profiles"):         200,
		get("/v1/status"):           500,
		get("/livez"):               200,
		get("/readyz"):              200,
		get("/readyz?verbose"):      200,
		get("/readyz?verbos"):       400,
		get("/livez?x=1"):           400,
		get("/"):                    404,
		get("/v1/token/"):           404,
		get("//v1/token"):           404,
		get("/v1/%74oken"):          404,
		get("/v1/../v1/token"):      404,
		get("/v1/TOKEN"):            404,
		get("/v1/admin/status"):     404,
		get("/metrics"):             404,
		get("/v1/token?profile=\t"): 400,
		get("/v1/token?scope=%0A"):  400,
		"POST /v1/token HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n":                  405,
		"HEAD /v1/token HTTP/1.1\r\nHost: x\r\n\r\n":                                       405,
		"OPTIONS /v1/token HTTP/1.1\r\nHost: x\r\n\r\n":                                    405,
		"TRACE /livez HTTP/1.1\r\nHost: x\r\n\r\n":                                         405,
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n":                                            404,
		"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n":                                        404,
		"GET http://x/v1/token HTTP/1.1\r\nHost: x\r\n\r\n":                                404,
		"GET /v1/token HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}":                 400,
		"GET /v1/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 400,
	} {
		answer, body := say(t, "unix", socket, request)
		if strings.Contains(request, "\t") { // net/http's own refusal
			if answer.StatusCode != status {
				t.Errorf("%q: %s", request, answer.Status)
			}
			continue
		}
		h := answer.Header
		if answer.StatusCode != status || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Type") != "application/json" {
			t.Errorf("%.60q: %s %v", request, answer.Status, h)
		}
		if isHead := strings.HasPrefix(request, "HEAD"); isHead != (body == "") || !isHead && !json.Valid([]byte(body)) {
			t.Errorf("%.60q: %q", request, body)
		}
		if status == 405 && h.Get("Allow") != "GET" {
			t.Errorf("%.60q: allows %q", request, h.Get("Allow"))
		}
	}
}

func TestUnknownCallerGetsNothing(t *testing.T) {
	for what, ask := range map[string]func(net.Conn) (peer.Caller, error){
		"nobody looks":             nil,
		"not told":                 func(net.Conn) (peer.Caller, error) { return peer.Caller{Source: "sock_diag"}, nil },
		"failed":                   func(net.Conn) (peer.Caller, error) { return peer.Caller{}, errBoom },
		"known, but with an error": func(net.Conn) (peer.Caller, error) { return peer.Caller{Known: true}, errBoom },
	} {
		addr := onTCP(t, NewWorkload(workload(t), Options{Caller: ask}))
		for path, status := range map[string]int{"/v1/token": 403, "/v1/profiles": 403, "/v1/status": 403, "/livez": 200} {
			answer, body := say(t, "tcp", addr, "GET "+path+" HTTP/1.1\r\nHost: "+addr+"\r\nKeytender: 1\r\n\r\n")
			if answer.StatusCode != status || status == 403 && !strings.Contains(body, "access_denied") || strings.Contains(body, canary) {
				t.Errorf("%s: %s: %s %s", what, path, answer.Status, body)
			}
		}
	}
}

func TestInnerErrorsGoToTheLogAlone(t *testing.T) {
	var log strings.Builder
	w := workload(t)
	w.Token = func(context.Context, peer.Caller, TokenRequest) (*session.Token, bool, error) {
		return nil, false, errBoom
	}
	socket := onUnix(t, NewWorkload(w, Options{Log: slog.New(slog.NewTextHandler(&log, nil))}))
	_, err := client(t, socket).Token(t.Context(), api.TokenRequest{})
	if e := want(t, err, api.ServerError); strings.Contains(e.Error(), canary) {
		t.Errorf("told the caller: %v", e)
	}
	if !strings.Contains(log.String(), canary) {
		t.Errorf("the log does not know: %s", log.String())
	}
}

func TestRetryAfterIsInTheHeaderToo(t *testing.T) {
	w := workload(t)
	w.Token = func(context.Context, peer.Caller, TokenRequest) (*session.Token, bool, error) {
		return nil, false, &session.WaitError{Err: &api.Error{Code: api.ProviderUnavailable}, RetryAfter: 1500 * time.Millisecond}
	}
	answer, body := say(t, "unix", onUnix(t, NewWorkload(w, Options{})), get("/v1/token"))
	if answer.StatusCode != 503 || answer.Header.Get("Retry-After") != "2" || !strings.Contains(body, `"retry_after":2`) {
		t.Errorf("%s %v %s", answer.Status, answer.Header, body)
	}
}

func TestNotReadySaysWhy(t *testing.T) {
	w := workload(t)
	w.Ready = func(context.Context) (bool, []string) { return false, []string{"audit: the disk is full"} }
	socket := onUnix(t, NewWorkload(w, Options{}))
	e := want(t, client(t, socket).Ready(t.Context()), api.Unavailable)
	if !strings.Contains(e.Description, "the disk is full") {
		t.Error(e)
	}
	answer, body := say(t, "unix", socket, get("/readyz?verbose"))
	if answer.StatusCode != 503 || !strings.Contains(body, `"checks":["audit: the disk is full"]`) {
		t.Errorf("%s %s", answer.Status, body)
	}
}

func TestCallerWhoHangsUpEndsItsRequest(t *testing.T) {
	came, ended := make(chan struct{}), make(chan error, 1)
	w := workload(t)
	w.Token = func(ctx context.Context, _ peer.Caller, _ TokenRequest) (*session.Token, bool, error) {
		close(came)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, false, ctx.Err()
	}
	socket := onUnix(t, NewWorkload(w, Options{}))
	ctx, hangUp := context.WithCancel(t.Context())
	go func() {
		<-came
		hangUp()
	}()
	if _, err := client(t, socket).Token(ctx, api.TokenRequest{}); err == nil {
		t.Error("got a token")
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
