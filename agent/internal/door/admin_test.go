package door

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/peer"
)

func anybody(peer.Caller) error { return nil }

// administration answers everything, and puts down what was asked.
func administration(asked *[]string) Admin {
	note := func(format string, args ...any) { *asked = append(*asked, fmt.Sprintf(format, args...)) }
	return Admin{
		Pair: func(_ context.Context, _ peer.Caller, p api.Pairing, step func(api.Step)) (api.PairResult, error) {
			note("pair %s %s", p.Name, p.Secret)
			if p.Name == "refused" {
				return api.PairResult{}, &api.Error{Code: api.ProviderRefused, Field: "secret", ProviderError: "invalid_client"}
			}
			step(api.Step{Number: 1, Of: 2, Text: "found"})
			step(api.Step{Number: 2, Of: 2, Text: "proven\nin two lines"})
			return api.PairResult{Changed: true, Issuer: "https://id.example"}, nil
		},
		Unpair: func(_ context.Context, _ peer.Caller, name string) error { note("unpair %s", name); return nil },
		SetSecret: func(_ context.Context, _ peer.Caller, name, secret string) error {
			note("secret %s %s", name, secret)
			return nil
		},
		Reload: func(context.Context, peer.Caller) (api.Reloaded, error) {
			return api.Reloaded{Changed: []string{"a"}, Profiles: 3}, nil
		},
		Retry:  func(_ context.Context, _ peer.Caller, name string) error { note("retry %s", name); return nil },
		Status: func(context.Context, peer.Caller) (api.Status, error) { return api.Status{Version: 1}, nil },
		Doctor: func(_ context.Context, _ peer.Caller, profile string) (api.Doctor, error) {
			return api.Doctor{Checks: []api.Check{{Name: "store", Profile: profile, Result: api.CheckOK}}}, nil
		},
		Audit: func(_ context.Context, _ peer.Caller, f api.AuditFilter, each func(json.RawMessage) error) error {
			note("audit %s %s", f.Profile, f.Since.Format(time.RFC3339Nano))
			line := []byte("{\"seq\":1}|{\"seq\":2}|")
			for range 2 {
				if err := each(line[:9]); err != nil {
					return err
				}
				line = line[10:]
			}
			if f.Profile == "broken" {
				return errBoom
			}
			return nil
		},
	}
}

func admin(t *testing.T, a Admin, o Options) (*api.Admin, string) {
	if o.Allow == nil {
		o.Allow = anybody
	}
	socket := onUnix(t, NewAdmin(a, o))
	c := &api.Admin{Socket: socket}
	t.Cleanup(c.Close)
	return c, socket
}

func TestAdminClientAndDoorUnderstandEachOther(t *testing.T) {
	var asked []string
	c, _ := admin(t, administration(&asked), Options{})
	ctx := t.Context()
	var steps []string
	result, err := c.Pair(ctx, api.Pairing{Version: 1, Name: "invoices", Secret: canary}, func(s api.Step) { steps = append(steps, s.Text) })
	if err != nil || !result.Changed || result.Issuer == "" || !reflect.DeepEqual(steps, []string{"found", "proven\nin two lines"}) {
		t.Errorf("pair: %+v, %q, %v", result, steps, err)
	}
	_, err = c.Pair(ctx, api.Pairing{Name: "refused"}, nil)
	if e := want(t, err, api.ProviderRefused); e.Field != "secret" || e.ProviderError != "invalid_client" {
		t.Errorf("%+v", e)
	}
	since := time.Date(2026, 11, 21, 1, 2, 3, 4, time.UTC)
	var lines bytes.Buffer
	reloaded, err := c.Reload(ctx)
	errs := errors.Join(err,
		c.Unpair(ctx, "in.voices-1"), c.SetSecret(ctx, "store/corp x", canary), c.Retry(ctx, "invoices"),
		c.Audit(ctx, api.AuditFilter{Since: since, Profile: "invoices"}, &lines))
	if errs != nil || reloaded.Profiles != 3 {
		t.Errorf("%v %v", reloaded, errs)
	}
	if lines.String() != "{\"seq\":1}\n{\"seq\":2}\n" {
		t.Errorf("%q", lines.String())
	}
	if d, err := c.Doctor(ctx, "invoices"); err != nil || len(d.Checks) != 1 || d.Checks[0].Profile != "invoices" {
		t.Errorf("%+v, %v", d, err)
	}
	if s, err := c.Status(ctx); err != nil || s.Version != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	wanted := []string{"pair invoices " + canary, "pair refused ", "unpair in.voices-1", "secret store/corp x " + canary, "retry invoices", "audit invoices 2026-11-21T01:02:03.000000004Z"}
	if !reflect.DeepEqual(asked, wanted) {
		t.Errorf("asked %q", asked)
	}
}

func TestAuditThatBreaksOffIsNoAudit(t *testing.T) {
	var asked []string
	c, _ := admin(t, administration(&asked), Options{})
	if err := c.Audit(t.Context(), api.AuditFilter{Profile: "broken"}, new(bytes.Buffer)); err == nil {
		t.Error("taken for whole")
	}
}

func TestAdminIsOnUnixSocketsOnly(t *testing.T) {
	l, err := ListenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := NewAdmin(Admin{}, Options{Allow: anybody}).Serve(l); err == nil {
		t.Fatal("served on TCP")
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("still listening")
	}
}

func TestWorkloadIsOnLoopbackOnly(t *testing.T) {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := NewWorkload(workload(t), Options{}).Serve(l); err == nil {
		t.Error("served on all addresses")
	}
}

func TestNobodyIsAllowedUnlessSaid(t *testing.T) {
	socket := onUnix(t, NewAdmin(Admin{}, Options{}))
	for _, path := range []string{"/v1/admin/status", "/v1/admin/nothing", "/v1/token"} {
		if answer, body := say(t, "unix", socket, get(path)); answer.StatusCode != 403 || !strings.Contains(body, "access_denied") {
			t.Errorf("%s: %s %s", path, answer.Status, body)
		}
	}
	c := &api.Admin{Socket: socket}
	defer c.Close()
	_, err := c.Pair(t.Context(), api.Pairing{Name: "x", Secret: canary}, nil)
	want(t, err, api.AccessDenied)
}

func TestBodiesAreReadStrictly(t *testing.T) {
	var asked []string
	_, socket := admin(t, administration(&asked), Options{})
	send := func(kind, body string) (int, string) {
		answer, said := say(t, "unix", socket, fmt.Sprintf("PUT /v1/admin/secrets/x HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", kind, len(body), body))
		return answer.StatusCode, said
	}
	const kind = "application/json"
	for what, row := range map[string][2]string{
		"a form":             {"application/x-www-form-urlencoded", `{"secret":"` + canary + `"}`},
		"a page's trick":     {"text/plain", `{"secret":"` + canary + `"}`},
		"a parameter":        {"application/json; charset=utf-16", `{"secret":"` + canary + `"}`},
		"unknown field":      {kind, `{"secret":"x","` + canary + `":1}`},
		"two values":         {kind, `{"secret":"` + canary + `"}{"secret":"y"}`},
		"something after":    {kind, `{"secret":"` + canary + `"} x`},
		"wrong type":         {kind, `{"secret":["` + canary + `"]}`},
		"not an object":      {kind, `"` + canary + `"`},
		"cut off":            {kind, `{"secret":"` + canary},
		"nothing":            {kind, ``},
		"too large":          {kind, `{"secret":"` + strings.Repeat(canary, 3000) + `"}`},
		"large and trailing": {kind, `{"secret":"x"}` + strings.Repeat(" ", 70<<10)},
	} {
		if status, said := send(row[0], row[1]); status != 400 || !strings.Contains(said, "invalid_request") || strings.Contains(said, canary) {
			t.Errorf("%s: %d %s", what, status, said)
		}
	}
	if len(asked) != 0 {
		t.Errorf("asked %q", asked)
	}
	if status, said := send(kind, ` {"secret":"x"} `+"\n"); status != 200 {
		t.Errorf("%d %s", status, said)
	}
}

func TestAdminRequestsThatAreNotQuiteRight(t *testing.T) {
	var asked []string
	_, socket := admin(t, administration(&asked), Options{})
	for request, status := range map[string]int{
		"POST /v1/admin/reload?x=1 HTTP/1.1\r\nHost: x\r\n\r\n":                    400,
		"POST /v1/admin/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}": 400,
		"GET /v1/admin/reload HTTP/1.1\r\nHost: x\r\n\r\n":                         405,
		"GET /v1/admin/profiles/x HTTP/1.1\r\nHost: x\r\n\r\n":                     405,
		"DELETE /v1/admin/profiles/ HTTP/1.1\r\nHost: x\r\n\r\n":                   404,
		"DELETE /v1/admin/profiles/a/b HTTP/1.1\r\nHost: x\r\n\r\n":                404,
		"DELETE /v1/admin/profiles/a%0ab HTTP/1.1\r\nHost: x\r\n\r\n":              404,
		"DELETE /v1/admin/profiles/a%00 HTTP/1.1\r\nHost: x\r\n\r\n":               404,
		"DELETE /v1/admin/profiles/x?all HTTP/1.1\r\nHost: x\r\n\r\n":              400,
		"GET /v1/admin/audit?since=yesterday HTTP/1.1\r\nHost: x\r\n\r\n":          400,
		"GET /v1/admin/audit?profile=a&profile=b HTTP/1.1\r\nHost: x\r\n\r\n":      400,
		"GET /v1/admin/doctor?profil=a HTTP/1.1\r\nHost: x\r\n\r\n":                400,
		"GET /v1/token HTTP/1.1\r\nHost: x\r\n\r\n":                                404,
		"HEAD /v1/admin/status HTTP/1.1\r\nHost: x\r\n\r\n":                        405,
	} {
		if answer, body := say(t, "unix", socket, request); answer.StatusCode != status {
			t.Errorf("%q: %s %s", request, answer.Status, body)
		}
	}
	if len(asked) != 0 {
		t.Errorf("asked %q", asked)
	}
}

func TestPairingEndsWithItsCaller(t *testing.T) {
	ended := make(chan error, 1)
	a := Admin{Pair: func(ctx context.Context, _ peer.Caller, _ api.Pairing, step func(api.Step)) (api.PairResult, error) {
		step(api.Step{Number: 1, Of: 2})
		<-ctx.Done()
		ended <- ctx.Err()
		return api.PairResult{}, ctx.Err()
	}}
	c, _ := admin(t, a, Options{Limits: Limits{ReadBody: 50 * time.Millisecond, Write: 50 * time.Millisecond}})
	ctx, hangUp := context.WithCancel(t.Context())
	_, err := c.Pair(ctx, api.Pairing{Name: "x"}, func(api.Step) {
		time.AfterFunc(200*time.Millisecond, hangUp) // longer than the times for reading and writing
	})
	if err == nil {
		t.Error("paired")
	}
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) || ctx.Err() == nil {
			t.Errorf("ended by itself: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("goes on")
	}
}

func TestSlowBodyIsNotWaitedFor(t *testing.T) {
	var asked []string
	_, socket := admin(t, administration(&asked), Options{Limits: Limits{ReadBody: 50 * time.Millisecond}})
	began := time.Now()
	answer, _ := say(t, "unix", socket, "PUT /v1/admin/secrets/x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{")
	if answer.StatusCode != http.StatusBadRequest || time.Since(began) > 3*time.Second {
		t.Errorf("%s after %s", answer.Status, time.Since(began))
	}
}
