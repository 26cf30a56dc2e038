//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"keytender/agent/api"
)

// obeyed is what a terminal would do something with: escape sequences, among
// them those of one byte and one rune, a line of its own, and a turn of the
// direction of writing.
const obeyed = "a\x1b[2J\x1b]0;t\x07\u009b31m\r\nkeytender: all is well\u202e\u200b\x7f"

// hostileAgent answers as an agent would, with signs for the terminal wherever
// there is text.
func hostileAgent(t *testing.T) (socket string) {
	t.Helper()
	failed := &api.Error{Code: api.NotPaired, Description: obeyed, Hint: obeyed}
	profile := api.Profile{
		Name: obeyed, Kind: obeyed, Source: obeyed, State: obeyed, URL: obeyed, Store: obeyed, Scopes: []string{obeyed}, Deprecated: obeyed, LastError: failed,
		Environment: map[string]string{"UIPATH_URL": "https://o", "LD_PRELOAD": "/tmp/evil.so", "BASH_ENV": "/tmp/evil", "PATH": "/tmp", "NO_PROXY": "*"},
	}
	other := profile
	other.Name = "invoices"
	answers := map[string]any{
		"/v1/token":    api.Token{AccessToken: "eyJ.a.b", Profile: "invoices"},
		"/v1/profiles": map[string]any{"profiles": []api.Profile{profile, other}},
		"/v1/status": api.Status{
			Agent:    api.AgentStatus{Version: obeyed, State: obeyed, Mode: obeyed, TCP: obeyed, Audit: failed, StartedAt: time.Now()},
			Profiles: []api.Profile{profile, other},
			Stores:   []api.StoreStatus{{Name: obeyed, URL: obeyed, State: obeyed, Error: failed}},
		},
		"/v1/admin/doctor": api.Doctor{Checks: []api.Check{{Name: obeyed, Profile: obeyed, Result: obeyed, Found: obeyed, ToDo: obeyed}}},
		"/v1/admin/audit":  auditRecord{Event: obeyed, User: obeyed, Door: obeyed, Profile: obeyed, Scopes: obeyed, Code: obeyed, Detail: obeyed},
		"/v1/admin/reload": api.Reloaded{Changed: []string{obeyed}},
	}
	serve := func(w http.ResponseWriter, r *http.Request) {
		answer, known := answers[r.URL.Path]
		switch {
		case r.URL.Path == "/v1/admin/pairings":
			w.Header().Set("Content-Type", "text/event-stream")
			event(w, "step", api.Step{Number: 1, Of: 2, Text: obeyed})
			event(w, "done", api.PairResult{Changed: true, Profile: profile, Warnings: []string{obeyed}})
		case !known || r.URL.Query().Get("profile") == "refused":
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(failed)
		case r.URL.Query().Get("profile") == "odd":
			_ = json.NewEncoder(w).Encode(api.Token{AccessToken: obeyed})
		default:
			_ = json.NewEncoder(w).Encode(answer)
		}
	}
	socket = filepath.Join(t.TempDir(), "keytender.sock")
	for _, path := range []string{socket, api.AdminSocketFor(socket)} {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(serve)}
		go server.Serve(l)
		t.Cleanup(func() { server.Close() })
	}
	return socket
}

func event(w http.ResponseWriter, name string, v any) {
	data, _ := json.Marshal(v) // messages can always be encoded
	fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, data)
}

// said runs a command in this process and returns all that it says.
func said(t *testing.T, socket string, args ...string) string {
	t.Helper()
	in, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var text strings.Builder
	p := &program{in: in, out: &text, errs: &text}
	p.execute(t.Context(), append([]string{"--socket", socket}, args...))
	return text.String()
}

// TestTerminalIsNotObedient: whatever an agent says, and through it servers and
// files, nothing of it is more than text.
func TestTerminalIsNotObedient(t *testing.T) {
	socket := hostileAgent(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	pair := []string{"pair", "invoices", "--kind", "robot", "--url", "https://o", "--client-id", "i", "--secret-file", secret}
	for _, args := range [][]string{
		{"status"}, {"status", "invoices"}, {"profiles"}, {"doctor"}, {"audit"}, {"reload"},
		{"token", "refused"}, {"exec", "refused", "--", "true"}, {"unpair", "refused"}, {"retry", "refused"},
		{"secret", "set", "refused", "--secret-file", secret}, {"wait", "--timeout", "1ms"}, pair,
		{"token", "odd"}, {"token", obeyed}, {"status", obeyed}, {obeyed}, {"__complete", "status", ""},
	} {
		text := said(t, socket, args...)
		if text == "" {
			t.Errorf("%.20q says nothing", args)
		}
		for line := range strings.SplitSeq(text, "\n") {
			if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) && r != '\t' }) || strings.HasPrefix(line, "keytender: all") {
				t.Errorf("%.20q says %q", args, line)
			}
		}
	}
}

// TestAgentSetsNoOtherVariables: an agent could have the program of "exec" run
// code of its choice.
func TestAgentSetsNoOtherVariables(t *testing.T) {
	p := &program{socket: hostileAgent(t)}
	vars, err := p.doors(t.Context(), "invoices")
	if err != nil {
		t.Fatal(err)
	}
	for name := range vars {
		if !slices.Contains([]string{"KEYTENDER_SOCKET", "KEYTENDER_URL", "UIPATH_URL"}, name) {
			t.Errorf("the agent sets %s", name)
		}
	}
	if vars["UIPATH_URL"] != "https://o" {
		t.Errorf("UIPATH_URL is %q", vars["UIPATH_URL"])
	}
}
