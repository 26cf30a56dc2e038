package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"keytender/agent/orchestratortest"
	"keytender/installer/testbed"

	"github.com/rogpeppe/go-internal/testscript"
)

// symbols is a secret as Orchestrator makes them.
const symbols = "QJX!jv12345A4q4N"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"keytender": main, simulatedOrchestrator: serveOrchestrator})
}

// TestScripts runs the scripts in testdata/script, which double as the manual:
// each shows a command, its answers and its errors with their exit status,
// against a real agent and a simulated Orchestrator.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUpScript,
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":        exits,
			"orchestrator": orchestrator,
			"vault":        vaultCommand,
		},
	})
}

// setUpScript gives a script a home and doors of its own.
func setUpScript(e *testscript.Env) error {
	for name, dir := range map[string]string{
		"HOME": "home", "XDG_RUNTIME_DIR": "run", "XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "config",
	} {
		path := filepath.Join(e.WorkDir, dir)
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
		e.Setenv(name, path)
	}
	e.Setenv("GORACE", "atexit_sleep_ms=0") // or each command takes a second under -race
	e.Values["orchestrator"] = new(simulation)
	e.Values["vault"] = &corp{test: e.T().(testbed.Test)}
	return os.WriteFile(filepath.Join(e.WorkDir, "robot.secret"), []byte(symbols+"\n"), 0o600)
}

// exits is "exits STATUS COMMAND…": the command ends with that status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		got = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, not %d", got, want)
	}
}

// simulation is the Orchestrator of a script, once it is started.
type simulation struct{ server *orchestratortest.Server }

// orchestrator is the simulated Orchestrator of a script:
//
//	orchestrator start               sets ORCH_URL, IDENTITY_URL; knows machine
//	                                 "robot-1" (robot.secret) and app "app-1"
//	                                 (the same secret; OR.Jobs, OR.Queues)
//	                                 and "operator" (the same; OR.Machines)
//	orchestrator secret VALUE        one more secret of robot-1
//	orchestrator status CODE [METHOD] PATH
//	                                 answers requests for PATH with CODE
//	orchestrator heal                answers well again
//	orchestrator secrets N           so many secrets robot-1 has, and not the first
//	orchestrator requests N          so many token requests it has had
func orchestrator(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value("orchestrator").(*simulation)
	args = append(args, "", "", "")
	switch {
	case neg:
		ts.Fatalf("usage: orchestrator start|secret|status|heal|requests")
	case args[0] == "start":
		s.start(ts)
	case args[0] == "secret":
		s.server.AddSecret("robot-1", args[1])
	case args[0] == "status":
		code, err := strconv.Atoi(args[1])
		ts.Check(err)
		fault := orchestratortest.Fault{Status: code}
		if args[3] != "" {
			fault.Method, args[2] = args[2], args[3]
		}
		s.server.Fault(args[2], fault)
	case args[0] == "heal":
		s.server.Heal()
	case args[0] == "secrets":
		now := s.server.Secrets("robot-1")
		if strconv.Itoa(len(now)) != args[1] || now[0].Secret == symbols {
			ts.Fatalf("robot-1 has %d secrets, or the first one still", len(now))
		}
	case args[0] == "requests":
		if got := strconv.Itoa(s.server.TokenRequests()); got != args[1] {
			ts.Fatalf("%s token requests, not %s", got, args[1])
		}
	default:
		ts.Fatalf("unknown: orchestrator %s", args[0])
	}
}

func (s *simulation) start(ts *testscript.TestScript) {
	s.server = orchestratortest.New(orchestratortest.Options{})
	ts.Defer(s.server.Close)
	s.server.AddMachine("robot-1", symbols)
	s.server.AddApp("app-1", symbols, "OR.Jobs", "OR.Queues")
	s.server.AddApp("operator", symbols, "OR.Machines")
	ts.Setenv("ORCH_ORIGIN", s.server.Origin)
	ts.Setenv("ORCH_URL", s.server.Orchestrator)
	ts.Setenv("IDENTITY_URL", s.server.Identity)
}

// simulatedOrchestrator is the name by which this test program serves an
// Orchestrator for as long as it runs, at orchestratorAddress.
const (
	simulatedOrchestrator = "simulated-orchestrator"
	orchestratorAddress   = "127.0.0.1:8080"
)

func serveOrchestrator() {
	server := orchestratortest.New(orchestratortest.Options{Addr: orchestratorAddress})
	server.AddMachine("robot-1", symbols)
	notifyManager(slog.Default(), managerReady)
	select {}
}
