package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"keytender/installer/testbed/booted"
)

// ann is the user of a machine of her own.
type ann struct {
	t *testing.T
	*booted.Machine
}

const annsConfig = "version: 1\nstores:\n  default: {url: \"sealed:\", key: \"file:/home/ann/seal.key\"}\n"

// newAnn boots a machine on which ann has keytender, and a sealed file for a store.
func newAnn(t *testing.T, keytender string) ann {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a := ann{t, booted.Start(t, booted.Options{Files: map[string]string{
		keytender: "/usr/local/bin/keytender",
		self:      "/usr/local/bin/" + simulatedOrchestrator,
	}})}
	if r := a.Run(t, "useradd", "--create-home", "--uid=1000", "ann"); r.Status != 0 {
		t.Fatalf("make a user: %s", r)
	}
	a.keytender(0, "store", "init", "sealed", "--key-file", "/home/ann/seal.key")
	a.configure(annsConfig)
	return a
}

// run runs a command in a session of ann's that is to end with that status, and
// returns what it wrote.
func (a ann) run(status int, argv ...string) string {
	a.t.Helper()
	r := a.RunAs(a.t, "ann", argv...)
	if r.Status != status {
		a.t.Fatalf("%q, which was to end with %d: %s", argv, status, r)
	}
	return r.Out + r.Err
}

func (a ann) keytender(status int, args ...string) string {
	a.t.Helper()
	return a.run(status, append([]string{"keytender"}, args...)...)
}

func (a ann) shell(script string) string {
	a.t.Helper()
	return a.run(0, "sh", "-ec", script)
}

// says has keytender run and its output match a pattern.
func (a ann) says(pattern string, status int, args ...string) {
	a.t.Helper()
	if said := a.keytender(status, args...); !regexp.MustCompile(pattern).MatchString(said) {
		a.t.Errorf("%q says %q, which is no %s", args, said, pattern)
	}
}

func (a ann) configure(config string) {
	a.t.Helper()
	a.shell("mkdir -p ~/.config/keytender; printf %s '" + config + "' >~/.config/keytender/config.yaml")
}

// pair pairs a robot with the Orchestrator in the machine.
func (a ann) pair(profile string) {
	a.t.Helper()
	a.shell(fmt.Sprintf("printf %%s '%s' | keytender pair %s --kind robot --url http://%s/acme/prod/orchestrator_ --client-id robot-1 --secret-file -", symbols, profile, orchestratorAddress))
}

// orchestrator starts the simulated Orchestrator, which no boot of the machine does.
func (a ann) orchestrator() {
	a.t.Helper()
	if r := a.Run(a.t, "systemd-run", "--quiet", "--service-type=notify", simulatedOrchestrator); r.Status != 0 {
		a.t.Fatalf("start an Orchestrator: %s", r)
	}
}

// getsToken has the agent, which must be there within 20 seconds, give a token for the robot.
func (a ann) getsToken() {
	a.t.Helper()
	a.keytender(0, "wait", "--timeout", "20s")
	a.says(`^[\w-]+\.[\w-]+\.[\w-]+\n$`, 0, "token", "invoices")
}

// agent is the agent's process, as ann's systemd knows it.
func (a ann) agent() string {
	a.t.Helper()
	pid := strings.TrimSpace(a.run(0, "systemctl", "--user", "show", "keytender", "--property=MainPID", "--value"))
	if !regexp.MustCompile(`^[1-9]\d*$`).MatchString(pid) {
		a.t.Fatalf("the agent's process is %q", pid)
	}
	return pid
}

// withoutLogin runs a command as ann, by what is there before she logs in.
func (a ann) withoutLogin(argv ...string) booted.Result {
	a.t.Helper()
	return a.Run(a.t, append([]string{"runuser", "--user", "ann", "--", "env", "HOME=/home/ann", "XDG_RUNTIME_DIR=/run/user/1000"}, argv...)...)
}

// givesUp has systemd give up on an agent that does not start.
func (a ann) givesUp() {
	a.t.Helper()
	a.shell("until systemctl --user is-failed --quiet keytender; do systemctl --user restart keytender || true; done")
}

// nothingLeft: the service is gone from ann's files and from her systemd.
func (a ann) nothingLeft() {
	a.t.Helper()
	if left := a.shell("find ~/.config/systemd -not -type d; systemctl --user list-units --all --plain --no-legend 'keytender*'"); left != "" {
		a.t.Errorf("of the service is left: %s", left)
	}
}
