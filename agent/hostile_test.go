package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keytender/agent/api"
)

func TestSecondAgentIsRefused(t *testing.T) {
	dir := t.TempDir()
	r := startIn(t, dir, "")
	o := r.options(dir)
	o.Socket = filepath.Join(dir, "other", "keytender.sock")
	_, err := Open(o)
	if err == nil || !strings.Contains(err.Error(), "pid ") {
		t.Errorf("got %v, want who holds the state", err)
	}
	o.State = filepath.Join(dir, "other-state")
	o.Socket = r.Agent.Socket()
	if _, err = Open(o); err == nil {
		t.Error("a second agent took over the socket of the first")
	}
	if _, err := r.Status(t.Context()); err != nil {
		t.Errorf("the first agent does not serve any more: %v", err)
	}
}

func TestBrokenStateIsRefusedUntouched(t *testing.T) {
	cases := map[string]string{
		"truncated": `{"version":1,"data":{"prof`,
		"foreign":   `<html>`,
		"newer":     `{"version":99,"data":{}}`,
		"empty":     "",
	}
	for name, content := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := startIn(t, dir, "")
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(r.state, "profiles.json")
			writeFile(t, path, content)
			_, err := Open(r.options(dir))
			if err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want an error that names %s", err, path)
			}
			if now, _ := os.ReadFile(path); string(now) != content {
				t.Error("the file was written over")
			}
		})
	}
}

func TestEditedStateSendsTheSecretNowhereElse(t *testing.T) {
	honest, thief := orchestratorOf(t), orchestratorOf(t)
	dir := t.TempDir()
	r := startIn(t, dir, "")
	r.mustPair(t, honest.pairing())
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.state, "profiles.json")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, strings.ReplaceAll(string(content), honest.Origin, thief.Origin))
	r = startIn(t, dir, "")
	_, err = r.Token(t.Context(), api.TokenRequest{})
	e := failsWith(t, err, api.ProviderRefused)
	if n := thief.TokenRequests(); n != 0 {
		t.Errorf("%d requests reached the other server", n)
	}
	if !strings.Contains(e.Description, "nothing was sent") {
		t.Errorf("got %v", e)
	}
}
