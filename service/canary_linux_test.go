package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"keytender/agent/orchestratortest"
)

// TestSecretsNeverAppear sends a canary secret and every token that was ever
// issued through pairing, tokens, exec, status, doctor and failures, with
// debug logging on, and then looks for them everywhere else than where they
// belong: in a token's answer, and sealed in the store.
func TestSecretsNeverAppear(t *testing.T) {
	c := newCanary(t)
	c.run(0, "pair", "invoices", "--kind", "robot", "--url", c.server.Orchestrator, "--client-id", "robot-1", "--secret-file", c.secretFile)
	c.run(0, "pair", "by-env", "--kind", "robot", "--url", c.server.Orchestrator, "--client-id", "robot-1", "--secret-env", "CANARY")
	c.run(1, "pair", "invoices", "--kind", "robot", "--url", c.server.Orchestrator, "--client-id", "robot-1", "--scope", "OR.Jobs", "--secret-file", c.secretFile)
	c.run(1, "pair", "wrong", "--kind", "robot", "--url", c.server.Orchestrator, "--client-id", "robot-2", "--secret-file", c.secretFile)
	c.run(2, "pair", "plain", "--kind", "robot", "--url", "http://192.0.2.1/a/b", "--client-id", "robot-1", "--secret-file", c.secretFile)
	c.run(0, "secret", "set", "invoices", "--secret-file", c.secretFile)
	c.run(0, "exec", "invoices", "--", "env")
	for _, command := range []string{"profiles", "status", "doctor", "audit", "reload", "version"} {
		c.run(0, command)
		if command != "version" {
			c.run(0, command, "--json")
		}
	}
	c.token("invoices")
	for name, fault := range c.faults() {
		t.Log(name)
		c.server.Fault("/connect/token", fault)
		c.run(-1, "retry", "invoices")
		c.run(-1, "token", "invoices", "--json")
		c.run(-1, "secret", "set", "invoices", "--secret-file", c.secretFile)
		c.run(-1, "doctor")
		c.run(0, "status", "--json")
		c.server.Heal()
		c.server.Fault("/connect/token", c.watch())
	}
	c.run(0, "retry", "invoices")
	c.token("invoices")
	c.run(0, "unpair", "by-env")
	c.search()
}

// canary is an agent with a secret that must not be seen, and all that was
// said meanwhile.
type canary struct {
	t          *testing.T
	dir        string
	secretFile string
	binary     string
	server     *orchestratortest.Server
	agent      *exec.Cmd
	log        bytes.Buffer // the agent's standard output and error
	said       bytes.Buffer // the commands'

	mu     sync.Mutex
	tokens []string
}

const canarySecret = `cAnArY!&=+%"\<jv12345A4q4N>`

func newCanary(t *testing.T) *canary {
	c := &canary{t: t, dir: t.TempDir(), server: orchestratortest.New(orchestratortest.Options{})}
	t.Cleanup(c.server.Close)
	c.server.AddMachine("robot-1", canarySecret)
	c.server.Fault("/connect/token", c.watch())
	c.secretFile = filepath.Join(c.dir, "canary.secret")
	c.write(c.secretFile, canarySecret)
	c.binary = filepath.Join(c.dir, "keytender")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", c.binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	c.run(0, "store", "init", "sealed", "--key-file", filepath.Join(c.dir, "seal.key"))
	c.write(filepath.Join(c.dir, "config.yaml"), fmt.Sprintf(
		"version: 1\ndefault_profile: invoices\nstores:\n  default: {url: \"sealed:\", key: \"file:%s\"}\n", filepath.Join(c.dir, "seal.key")))
	c.start()
	return c
}

func (c *canary) write(path, content string) {
	c.t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// watch is no fault: it notes the tokens that pass.
func (c *canary) watch() orchestratortest.Fault {
	return orchestratortest.Fault{Edit: func(answer map[string]any) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if token, ok := answer["access_token"].(string); ok {
			c.tokens = append(c.tokens, token)
		}
	}}
}

func (c *canary) faults() map[string]orchestratortest.Fault {
	echo := fmt.Sprintf(`{"error":"invalid_client","error_description":%q,"error_uri":%q}`, canarySecret, "https://h/?"+url.QueryEscape(canarySecret))
	return map[string]orchestratortest.Fault{
		"an error that repeats the secret":     {Status: http.StatusBadRequest, Body: echo},
		"an error code that is the secret":     {Status: http.StatusBadRequest, Body: fmt.Sprintf(`{"error":%q}`, canarySecret)},
		"a page that repeats it":               {Status: http.StatusOK, Body: "<html>" + canarySecret},
		"a redirect with it":                   {Redirect: c.server.Origin + "/?s=" + url.QueryEscape(canarySecret)},
		"busy":                                 {Status: http.StatusTooManyRequests, RetryAfter: "1"},
		"down":                                 {Status: http.StatusBadGateway},
		"cut":                                  {Cut: true},
		"HTML":                                 {HTML: true},
		"an expired token":                     {Edit: func(a map[string]any) { c.watch().Edit(a); a["expires_in"] = 0 }},
		"a token of another type":              {Edit: func(a map[string]any) { c.watch().Edit(a); a["token_type"] = "mac" }},
		"a scope that is the secret":           {Edit: func(a map[string]any) { c.watch().Edit(a); a["scope"] = canarySecret; a["expires_in"] = 0 }},
		"a refresh token nobody asked for too": {Edit: func(a map[string]any) { c.watch().Edit(a); a["refresh_token"] = "unasked-refresh-canary" }},
	}
}

func (c *canary) environment() []string {
	return append(os.Environ(), "HOME="+c.dir, "XDG_RUNTIME_DIR="+c.dir, "XDG_STATE_HOME="+c.dir, "XDG_CONFIG_HOME="+c.dir)
}

func (c *canary) command(args ...string) *exec.Cmd {
	args = append(args, "--config", filepath.Join(c.dir, "config.yaml"), "--state", filepath.Join(c.dir, "state"), "--socket", filepath.Join(c.dir, "run", "keytender.sock"))
	if i := slices.Index(args, "--"); i >= 0 { // the flags go before the command of exec
		args = slices.Concat(args[:1], args[len(args)-6:], args[1:len(args)-6])
	}
	command := exec.CommandContext(c.t.Context(), c.binary, args...)
	command.Env = c.environment()
	return command
}

func (c *canary) start() {
	c.t.Helper()
	c.agent = c.command("run", "--mode", "user", "--debug")
	c.agent.Stdout, c.agent.Stderr = &c.log, &c.log
	if err := c.agent.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if c.agent.ProcessState == nil {
			_ = c.agent.Process.Kill()
			_ = c.agent.Wait()
		}
	})
	c.run(0, "wait", "--timeout", "20s")
}

// run runs a command and keeps all that it says; status -1 is any.
func (c *canary) run(status int, args ...string) {
	c.t.Helper()
	command := c.command(args...)
	if slices.Contains(args, "--secret-env") {
		command.Env = append(command.Env, "CANARY="+canarySecret)
	}
	var out, failed bytes.Buffer
	command.Stdout, command.Stderr = &out, &failed
	_ = command.Run() // the status is looked at below
	if got := command.ProcessState.ExitCode(); status >= 0 && got != status {
		c.t.Fatalf("%v: exit status %d, want %d: %s", args, got, status, failed.String())
	}
	c.said.Write(failed.Bytes())
	if args[0] != "token" {
		c.said.Write(out.Bytes())
	}
}

// token is a token as an automation gets it, and proves that the search below
// would find one.
func (c *canary) token(profile string) {
	c.t.Helper()
	out, err := c.command("token", profile).Output()
	if err != nil {
		c.t.Fatalf("token: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.tokens, strings.TrimSpace(string(out))) {
		c.t.Fatal("the token is none that the server issued, so the search would miss it")
	}
}

// search looks for the secret and the tokens, in clear and in the usual
// encodings.
func (c *canary) search() {
	c.t.Helper()
	places := map[string][]byte{"what the commands said": c.said.Bytes()}
	for _, name := range []string{"cmdline", "environ"} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", c.agent.Process.Pid, name))
		if name == "environ" && os.Getuid() != 0 && errors.Is(err, fs.ErrPermission) {
			continue // closed to all but root
		}
		if err != nil {
			c.t.Fatal(err)
		}
		places[name] = content
	}
	if err := c.agent.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	if err := c.agent.Wait(); err != nil {
		c.t.Fatalf("the agent ended with %v\n%s", err, c.log.String())
	}
	places["the agent's log"] = c.log.Bytes()
	c.files(places)
	if len(places) < 8 || c.log.Len() == 0 || c.said.Len() == 0 {
		c.t.Fatalf("too little to search: %d places, log %d, said %d", len(places), c.log.Len(), c.said.Len())
	}
	secrets := append([]string{canarySecret, "unasked-refresh-canary"}, c.tokens...)
	for where, content := range places {
		for _, secret := range secrets {
			for _, form := range forms(secret) {
				if bytes.Contains(content, []byte(form)) {
					c.t.Errorf("%s holds a secret", where)
				}
			}
		}
	}
}

// files adds what is in the test's directories, but for where the person who
// pairs keeps the secret.
func (c *canary) files(places map[string][]byte) {
	c.t.Helper()
	err := filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || path == c.secretFile || path == c.binary {
			return err
		}
		places[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// forms are the ways in which a secret is often written.
func forms(secret string) []string {
	quoted := fmt.Sprintf("%q", secret)
	inJSON, _ := json.Marshal(secret) // a string can always be encoded
	return []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), quoted[1 : len(quoted)-1], string(inJSON[1 : len(inJSON)-1]),
		base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)),
	}
}
