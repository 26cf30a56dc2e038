package main

import (
	"strings"
	"testing"
)

// TestUserService has a user of a booted Debian run the agent as a service of the
// user's own systemd.
func TestUserService(t *testing.T) {
	keytender := programFor(t, t.TempDir())
	for name, test := range map[string]func(*testing.T, ann){
		"from install to uninstall": fromInstallToUninstall,
		"comes back":                comesBack,
		"reads its configuration":   readsItsConfiguration,
		"paths are taken literally": pathsAreTakenLiterally,
		"without its systemd":       withoutItsSystemd,
	} {
		t.Run(name, func(t *testing.T) { test(t, newAnn(t, keytender)) })
	}
}

func fromInstallToUninstall(t *testing.T, a ann) {
	for _, action := range []string{"start", "stop", "restart", "uninstall"} {
		a.says(`^keytender: `+action+` the service: it is not installed: run "keytender service install --user" first\n$`, 2, "service", action, "--user")
	}
	a.says(`^the service is not installed\n$`, 6, "service", "status", "--user")

	a.says(`^the service is installed: it starts at the next login, or now with`, 0, "service", "install", "--user")
	a.says(`^keytender: install the service: /home/ann/.config/systemd/user/keytender.service is there already: run "keytender service uninstall --user" first\n$`, 1, "service", "install", "--user")
	a.says(`^the service is stopped\n$`, 6, "service", "status", "--user")
	a.says(`(?s)^\{\s*"state": "stopped"\s*\}\s*$`, 6, "service", "status", "--user", "--json")
	a.says(`^keytender: reach the agent: `, 6, "status")

	a.says(`^the service is started\n$`, 0, "service", "start", "--user")
	a.says(`^the service is running\n$`, 0, "service", "status", "--user")
	a.says(`(?m)^  running +for .*, process `+a.agent()+`$`, 0, "status")
	a.orchestrator()
	a.pair("invoices")
	a.getsToken()
	a.says(`(?m)^  ok +orchestrator `, 0, "doctor")
	if got := a.shell("grep -E '^(NoNewPrivs|Seccomp):' /proc/" + a.agent() + "/status"); got != "NoNewPrivs:\t1\nSeccomp:\t2\n" {
		t.Errorf("the agent runs with\n%s", got)
	}

	before := a.agent()
	a.says(`^the service is restarted\n$`, 0, "service", "restart", "--user")
	if a.agent() == before {
		t.Error("it is the same agent after a restart")
	}
	a.getsToken()

	a.says(`^the service is stopped\n$`, 0, "service", "stop", "--user")
	a.says(`^the service is stopped\n$`, 6, "service", "status", "--user")
	a.keytender(0, "service", "start", "--user")
	a.says(`^the service is removed: profiles and secrets stay\n$`, 0, "service", "uninstall", "--user")
	a.says(`^the service is not installed\n$`, 6, "service", "status", "--user")
	a.says(`^keytender: reach the agent: `, 6, "status")
	a.nothingLeft()
	a.keytender(0, "service", "install", "--user")
	a.keytender(0, "service", "start", "--user")
	a.getsToken()
}

// comesBack: the agent is there again after whatever ends it.
func comesBack(t *testing.T, a ann) {
	a.keytender(0, "service", "install", "--user")
	a.keytender(0, "service", "start", "--user")
	a.orchestrator()
	a.pair("invoices")

	before := a.agent()
	a.shell("kill -KILL " + before + "; tail --pid=" + before + " --follow /dev/null")
	a.getsToken()
	if a.agent() == before {
		t.Error("it is the same agent after it was killed")
	}

	if r := a.Run(t, "loginctl", "enable-linger", "ann"); r.Status != 0 {
		t.Fatal(r)
	}
	for name, again := range map[string]func(testing.TB){"reboot": a.Reboot, "crash": a.Crash} {
		again(t)
		if r := a.withoutLogin("keytender", "wait", "--timeout", "20s"); r.Status != 0 {
			t.Errorf("after a %s, before anybody logs in: %s", name, r)
		}
		a.orchestrator()
		a.getsToken()
	}

	if r := a.Run(t, "loginctl", "disable-linger", "ann"); r.Status != 0 {
		t.Fatal(r)
	}
	a.Reboot(t)
	if r := a.withoutLogin("keytender", "status"); r.Status != 6 {
		t.Errorf("the agent runs before its user has logged in: %s", r)
	}
	a.orchestrator()
	a.shell("keytender wait --timeout 20s; keytender service status --user; keytender token invoices")
}

// readsItsConfiguration: at "systemctl reload", and at the start.
func readsItsConfiguration(t *testing.T, a ann) {
	a.keytender(0, "service", "install", "--user")
	a.keytender(0, "service", "start", "--user")
	a.orchestrator()
	a.pair("invoices")
	a.pair("payslips")
	agent := a.agent()
	a.says(`default_profile`, 2, "token") // which of the two?
	a.configure(annsConfig + "default_profile: invoices\n")
	a.run(0, "systemctl", "--user", "reload", "keytender")
	a.keytender(0, "token")

	a.configure(annsConfig + "no_such_key: 1\n")
	a.run(1, "systemctl", "--user", "reload", "keytender")
	a.keytender(0, "token")
	if a.agent() != agent {
		t.Error("it is another agent after reloads")
	}

	a.says(`^keytender: restart the service: the agent does not start \(exit status 1\): see "journalctl --user -u keytender"\n$`, 1, "service", "restart", "--user")
	a.says(`^the service is starting\n$`, 6, "service", "status", "--user") // systemd tries again after a pause
	if said := a.run(0, "journalctl", "--user", "-u", "keytender"); !strings.Contains(said, "no_such_key") {
		t.Errorf("why the agent does not start is not in the journal:\n%s", said)
	}
	a.givesUp()
	a.says(`^keytender: look at the service: it has failed: see "journalctl --user -u keytender"\n$`, 1, "service", "status", "--user")
	a.configure(annsConfig)
	a.keytender(0, "service", "start", "--user")
	a.getsToken()

	a.configure(annsConfig + "no_such_key: 1\n")
	a.givesUp()
	a.keytender(0, "service", "uninstall", "--user")
	a.nothingLeft()
}

func pathsAreTakenLiterally(t *testing.T, a ann) {
	state := `/home/ann/50%here $HOME ${HOME} "a" \b {{c}}`
	a.keytender(0, "--state", state, "service", "install", "--user")
	a.keytender(0, "service", "start", "--user")
	a.orchestrator()
	a.pair("invoices")
	a.run(0, "systemctl", "--user", "reload", "keytender")
	a.keytender(0, "service", "restart", "--user")
	a.getsToken()
	a.run(0, "test", "-d", state+"/audit")
	if home := a.run(0, "ls", "/home/ann"); strings.Count(home, "\n") != 2 {
		t.Errorf("in ann's home is\n%s", home)
	}
}

// withoutItsSystemd: what ann is told in a shell that does not reach her systemd.
func withoutItsSystemd(t *testing.T, a ann) {
	if said := a.run(1, "env", "--unset=XDG_RUNTIME_DIR", "keytender", "service", "install", "--user"); !strings.Contains(said, `run "export XDG_RUNTIME_DIR=/run/user/1000"`) {
		t.Errorf("without XDG_RUNTIME_DIR: %s", said)
	}
	r := a.Run(t, "runuser", "--user", "nobody", "--", "keytender", "service", "install", "--user")
	if r.Status != 1 || !strings.Contains(r.Err, `"sudo loginctl enable-linger 65534"`) {
		t.Errorf("without a systemd: %s", r)
	}
}
