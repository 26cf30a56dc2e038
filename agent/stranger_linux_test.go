package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"keytender/agent/api"
)

// nobodysUID is an OS user that no machine has.
const nobodysUID = 12345

// strangerAsks tells a process of another OS user what to ask: network, address
// and text as JSON.
const strangerAsks = "KEYTENDER_TEST_STRANGER_ASKS"

// stranger asks the agent's doors as another OS user than the agent's.
type stranger struct {
	uid int
	ask func(network, address, text string) answered
}

// strangerTo gives root a process of another user. Who is not root cannot become
// another user: then it is the agent that takes itself for another's.
func strangerTo(t *testing.T, a *Agent) stranger {
	t.Helper()
	if os.Getuid() == 0 {
		return stranger{nobodysUID, func(network, address, text string) answered { return askAsNobody(t, network, address, text) }}
	}
	return stranger{os.Getuid(), func(network, address, text string) answered {
		a.broker.owner = nobodysUID
		defer func() { a.broker.owner = os.Getuid() }()
		return say(t, network, address, text)
	}}
}

func askAsNobody(t *testing.T, network, address, text string) answered {
	t.Helper()
	order, err := json.Marshal([]string{network, address, text})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$")
	cmd.Env, cmd.Dir, cmd.Stderr = append(os.Environ(), strangerAsks+"="+string(order), "GORACE=atexit_sleep_ms=0"), "/", os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobodysUID, Gid: nobodysUID}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ask as uid %d: %v\n%s", nobodysUID, err, out)
	}
	line, _, _ := bytes.Cut(out, []byte("\n"))
	var got struct {
		Status int
		Body   string
		Code   api.Code
	}
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("%v: %q", err, out)
	}
	return answered{status: got.Status, body: got.Body, code: got.Code}
}

// obeyed is true in the stranger's own process, after it has asked.
func obeyed(t *testing.T) bool {
	t.Helper()
	var order []string
	if json.Unmarshal([]byte(os.Getenv(strangerAsks)), &order) != nil {
		return false
	}
	got := say(t, order[0], order[1], order[2])
	line, err := json.Marshal(map[string]any{"status": got.status, "body": got.body, "code": got.code})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(string(line))
	return true
}

// openToAll lets every user reach a socket in a directory of the test's own.
func openToAll(t *testing.T, socket string) {
	t.Helper()
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(socket); dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStrangerIsRefused(t *testing.T) {
	if obeyed(t) {
		return
	}
	r, s, token := onTCP(t)
	before := s.TokenRequests()
	stranger := strangerTo(t, r.Agent)
	openToAll(t, r.Agent.Socket())
	for network, address := range map[string]string{"tcp": r.TCP(), "unix": r.Agent.Socket()} {
		earlier := len(r.records(t, "refused"))
		get := func(path string) answered {
			return stranger.ask(network, address, "GET "+path+" HTTP/1.1\r\nHost: "+r.TCP()+"\r\nKeytender: 1\r\n\r\n")
		}
		known, unknown := get("/v1/token?profile=invoices"), get("/v1/token?profile=nobody")
		for _, got := range []answered{known, unknown} {
			if got.status != http.StatusForbidden || got.code != api.AccessDenied || strings.Contains(got.body, token.AccessToken) {
				t.Errorf("%s: answered %d %s", network, got.status, got.code)
			}
		}
		if masked(known) != masked(unknown) {
			t.Errorf("%s: what is there and what is not look different:\n%s\n%s", network, known.body, unknown.body)
		}
		for _, path := range []string{"/v1/profiles", "/v1/status"} {
			if got := get(path); strings.Contains(got.body, "invoices") || strings.Contains(got.body, s.Issuer) {
				t.Errorf("%s: %s tells a stranger of what is paired: %s", network, path, got.body)
			}
		}
		refused := r.records(t, "refused")[earlier:]
		if len(refused) != 2 {
			t.Fatalf("%s: %d records of two refusals", network, len(refused))
		}
		for _, record := range refused {
			if record.UID == nil || *record.UID != int64(stranger.uid) || record.Code != string(api.AccessDenied) || record.Door != network || !strings.Contains(known.body+unknown.body, record.Ruling) {
				t.Errorf("%s: recorded %+v", network, record)
			}
		}
	}
	asked(t, s, before, 0)
	r.mustToken(t, api.TokenRequest{})
}

// masked is an answer without the id of its ruling.
func masked(a answered) string {
	var e api.Error
	_ = json.Unmarshal([]byte(a.body), &e)
	return strings.ReplaceAll(a.body, e.Ruling, "r_")
}

func TestStrangerDoesNotAdminister(t *testing.T) {
	if obeyed(t) {
		return
	}
	r, _, _ := onTCP(t)
	stranger := strangerTo(t, r.Agent)
	socket := api.AdminSocketFor(r.Agent.Socket())
	openToAll(t, socket)
	for _, request := range []string{"DELETE /v1/admin/profiles/invoices", "POST /v1/admin/reload", "GET /v1/admin/status", "GET /v1/admin/audit", "GET /nothing"} {
		got := stranger.ask("unix", socket, request+" HTTP/1.1\r\nHost: localhost\r\nKeytender: 1\r\n\r\n")
		if got.status != http.StatusForbidden || got.code != api.AccessDenied || strings.Contains(got.body, "invoices") {
			t.Errorf("%s is answered %d %s", request, got.status, got.body)
		}
	}
	r.mustToken(t, api.TokenRequest{Profile: "invoices"})
}
