package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"keytender/agent/api"
	"keytender/agent/orchestratortest"
)

// profile is the one that is paired.
const profile = "bench"

// agent is the program under test with a state of its own, which outlives each
// of its processes. It runs as a user's agent does, with the store sealed: in
// the place of a keyring.
type agent struct {
	program string
	dir     string
	process *process
}

// newAgent makes the key file and config.yaml of an agent that lives in dir.
// further is the line of one more store than the default one, or empty.
func newAgent(ctx context.Context, program, dir, further string) (*agent, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	a := &agent{program: program, dir: dir}
	if said, err := a.command(ctx, "store", "init", "sealed", "--key-file", a.key()).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make the key of the store: %w: %s", err, said)
	}
	config := fmt.Sprintf("version: 1\nstores:\n  default: {url: \"sealed:\", key: %q}\n%s", "file:"+a.key(), further)
	return a, os.WriteFile(a.config(), []byte(config), 0o600)
}

func (a *agent) config() string { return filepath.Join(a.dir, "config.yaml") }
func (a *agent) key() string    { return filepath.Join(a.dir, "seal.key") }
func (a *agent) socket() string { return filepath.Join(a.dir, "keytender.sock") }

func (a *agent) command(ctx context.Context, args ...string) *exec.Cmd {
	return child(ctx, a.dir, a.program, args...)
}

// launch starts the process and does not wait for anything.
func (a *agent) launch(ctx context.Context) (err error) {
	a.process, err = launch(a.command(ctx, "run", "--mode", "user",
		"--config", a.config(), "--state", filepath.Join(a.dir, "state"), "--socket", a.socket()))
	return err
}

// start returns when the agent answers: it listens on one door before the next,
// and serves when all are open.
func (a *agent) start(ctx context.Context) error {
	if err := a.launch(ctx); err != nil {
		return err
	}
	door, err := a.reach(ctx)
	if err == nil {
		_, err = askOn(door, getAt("unix", a.socket(), "/livez"))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("start the agent: %w", err), a.stop())
	}
	return nil
}

// reach connects to the workload socket as soon as somebody listens there.
func (a *agent) reach(ctx context.Context) (net.Conn, error) {
	const pause = 200 * time.Microsecond // more often would slow down who is waited for
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		door, err := new(net.Dialer).DialContext(ctx, "unix", a.socket())
		if err == nil {
			return door, nil
		}
		if wait(ctx, pause) != nil {
			return nil, err
		}
	}
}

func (a *agent) stop() error { return a.process.stop() }

// pair pairs the profile of a robot, whose secret then rests in the default
// store.
func (a *agent) pair(ctx context.Context, orchestrator string, robot orchestratortest.Client) error {
	return a.administer(ctx, func(admin *api.Admin) error {
		_, err := admin.Pair(ctx, api.Pairing{
			Version: api.Version, Name: profile, Kind: "robot", URL: orchestrator, ClientID: robot.ID, Secret: robot.Secret,
		}, nil)
		return err
	})
}

// administer starts the agent, has something done by its admin door and stops it
// again: what was changed rests in the state and in the stores.
func (a *agent) administer(ctx context.Context, do func(*api.Admin) error) error {
	if err := a.start(ctx); err != nil {
		return err
	}
	admin := a.admin()
	err := do(admin)
	admin.Close()
	return errors.Join(err, a.stop())
}

func (a *agent) admin() *api.Admin { return &api.Admin{Socket: api.AdminSocketFor(a.socket())} }

// places are the two doors of a running agent: unix, tcp.
func (a *agent) places(ctx context.Context) ([]place, error) {
	client := api.Client{Socket: a.socket()}
	defer client.Close()
	status, err := client.Status(ctx)
	if err != nil {
		return nil, err
	}
	if status.Agent.TCP == "" {
		return nil, errors.New("the agent has no TCP door")
	}
	return []place{tokenAt("unix", a.socket()), tokenAt("tcp", status.Agent.TCP)}, nil
}
