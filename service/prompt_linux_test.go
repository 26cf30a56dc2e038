package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"keytender/agent/api"
	"keytender/agent/orchestratortest"
)

// running is an agent of a test, and a command line that reaches it.
type running struct{ socket string }

// runAgent runs "keytender run" until the test ends.
func runAgent(t *testing.T) running {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	r := running{filepath.Join(dir, "run", "keytender.sock")}
	c := r.keytender("run", "--mode", "user", "--ephemeral", "--state", filepath.Join(dir, "state"))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	if out, err := r.keytender("wait", "--timeout", "20s").CombinedOutput(); err != nil {
		t.Fatalf("wait: %v: %s", err, out)
	}
	return r
}

func (r running) keytender(args ...string) *exec.Cmd {
	return exec.Command("keytender", append([]string{"--socket", r.socket}, args...)...)
}

func newOrchestrator(t *testing.T) *orchestratortest.Server {
	server := orchestratortest.New(orchestratortest.Options{})
	t.Cleanup(server.Close)
	server.AddMachine("robot-1", symbols)
	return server
}

func TestPromptShowsNoSecret(t *testing.T) {
	r, server := runAgent(t), newOrchestrator(t)
	x := onTerminal(t, r.keytender("pair", "invoices", "--kind", "robot", "--url", server.Orchestrator, "--client-id", "robot-1"))
	x.until("Secret of invoices, to be sent to " + server.Origin + " (not shown): ")
	x.waitForEcho(false)
	x.typed(symbols + "\n")
	status, shown, echoes := x.ends()
	if status != 0 || !strings.Contains(shown, "invoices is paired") {
		t.Errorf("exit status %d, shown: %s", status, shown)
	}
	if strings.Contains(shown, symbols) {
		t.Error("the terminal shows the secret")
	}
	if !echoes {
		t.Error("the terminal stays without echo")
	}
}

func TestPromptInterrupted(t *testing.T) {
	x := onTerminal(t, exec.Command("keytender", "pair", "invoices", "--kind", "robot", "--url", "http://127.0.0.1:1", "--client-id", "robot-1"))
	x.until("(not shown): ")
	x.waitForEcho(false)
	x.typed("\x03")
	status, shown, echoes := x.ends()
	if status != api.ExitUsage || !strings.Contains(shown, "interrupted: nothing was changed") {
		t.Errorf("exit status %d, shown: %s", status, shown)
	}
	if !echoes {
		t.Error("the terminal stays without echo")
	}
}

// otherOrigin has server's discovery name the token endpoint of another one.
func otherOrigin(t *testing.T, server *orchestratortest.Server) (endpoint string) {
	endpoint = newOrchestrator(t).Identity + "/connect/token"
	server.Fault("openid-configuration", orchestratortest.Fault{Edit: orchestratortest.Set("token_endpoint", endpoint)})
	return endpoint
}

func TestTokenEndpointElsewhere(t *testing.T) {
	r, server := runAgent(t), newOrchestrator(t)
	endpoint := otherOrigin(t, server)
	args := []string{"pair", "invoices", "--kind", "robot", "--url", server.Orchestrator, "--identity", server.Identity, "--client-id", "robot-1"}

	t.Run("unattended", func(t *testing.T) {
		c := r.keytender(append(args, "--secret-file", "-")...)
		c.Stdin = strings.NewReader(symbols)
		out, _ := c.CombinedOutput()
		if c.ProcessState.ExitCode() != api.ExitUsage || !strings.Contains(string(out), "--token-endpoint "+endpoint) {
			t.Errorf("exit status %d: %s", c.ProcessState.ExitCode(), out)
		}
	})
	for _, row := range []struct {
		answer string
		status int
	}{{"n", api.ExitUsage}, {"", api.ExitUsage}, {"y", api.ExitDone}} {
		t.Run("answer "+row.answer, func(t *testing.T) {
			x := onTerminal(t, r.keytender(args...))
			x.until("(not shown): ")
			x.waitForEcho(false)
			x.typed(symbols + "\n")
			x.until(endpoint)
			x.until("[y/N] ")
			x.typed(row.answer + "\n")
			if status, shown, _ := x.ends(); status != row.status {
				t.Errorf("exit status %d, not %d: %s", status, row.status, shown)
			}
		})
	}
}

// TestMailedPairingFile: who wrote a pairing file chose which of our files is
// read and where it goes, so a person is asked first.
func TestMailedPairingFile(t *testing.T) {
	r, server := runAgent(t), newOrchestrator(t)
	dir := t.TempDir()
	secret, file := filepath.Join(dir, ".vault-token"), filepath.Join(dir, "mailed.json")
	content := `{"version":1,"name":"invoices","kind":"robot","url":"https://cloud.uipath.com/a/b","identity":"` + server.Identity +
		`","client_id":"robot-1","secret_file":".vault-token"}`
	for path, content := range map[string]string{secret: symbols, file: content} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct {
		answer string
		status int
	}{{"n", api.ExitUsage}, {"", api.ExitUsage}, {"y", api.ExitDone}} {
		t.Run("answer "+row.answer, func(t *testing.T) {
			before := server.TokenRequests()
			x := onTerminal(t, r.keytender("pair", "--from", file))
			x.until("The secret in " + secret + " would be sent to " + server.Origin)
			x.until("[y/N] ")
			x.typed(row.answer + "\n")
			if status, shown, _ := x.ends(); status != row.status {
				t.Errorf("exit status %d, not %d: %s", status, row.status, shown)
			}
			if asked := server.TokenRequests() > before; asked != (row.status == api.ExitDone) {
				t.Errorf("the secret was sent: %v", asked)
			}
		})
	}
}
