package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"keytender/agent/api"

	"github.com/kardianos/service"
)

// userService is the agent as a systemd service of this user.
type userService struct {
	manager service.Service
	unit    string // path of the unit file
}

// newUserService is the service whose agent runs with these global flags. It is an error
// if no systemd of this user can be reached, for nothing could be done then.
func newUserService(flags []string) (userService, error) {
	if service.ChosenSystem() == nil || service.ChosenSystem().String() != "linux-systemd" {
		return userService{}, errors.New(`no systemd runs here: have your session start "keytender run"`)
	}
	if err := userSystemd(os.Getenv("XDG_RUNTIME_DIR"), os.Getuid()); err != nil {
		return userService{}, err
	}
	program, err := os.Executable()
	if err != nil {
		return userService{}, fmt.Errorf("find this program: %w", err)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return userService{}, fmt.Errorf("find the unit's directory: %w", err)
	}
	manager, err := service.New(nil, &service.Config{
		Name:   "keytender",
		Option: service.KeyValue{"UserService": true, "SystemdScript": userUnit(program, flags)},
	})
	return userService{manager, filepath.Join(home, ".config/systemd/user/keytender.service")}, err
}

// userSystemd returns nil if the systemd of this user answers in runtimeDir,
// where it keeps its own socket.
func userSystemd(runtimeDir string, uid int) error {
	usual := "/run/user/" + strconv.Itoa(uid)
	for _, dir := range []string{runtimeDir, usual} {
		_, err := os.Stat(filepath.Join(dir, "systemd/private"))
		if dir == "" || err != nil {
			continue
		}
		if dir != runtimeDir {
			return fmt.Errorf("XDG_RUNTIME_DIR does not lead to your systemd: run \"export XDG_RUNTIME_DIR=%s\" and try again", usual)
		}
		return nil
	}
	return fmt.Errorf("no systemd of your user runs (uid %d): log in on a desktop, a console or by ssh, or have it always run with \"sudo loginctl enable-linger %d\"", uid, uid)
}

func (s userService) install() error {
	if _, err := os.Stat(s.unit); err == nil {
		return fmt.Errorf("%s is there already: run \"keytender service uninstall --user\" first", s.unit)
	}
	if err := s.manager.Install(); err != nil {
		return errors.Join(err, os.Remove(s.unit))
	}
	return nil
}

func (s userService) uninstall() error {
	if err := s.installed(); err != nil {
		return err
	}
	stopped := s.manager.Stop()
	_ = userSystemctl("reset-failed").Run() // what has failed would be listed on
	return errors.Join(stopped, s.manager.Uninstall())
}

func (s userService) start() error   { return s.afresh(s.manager.Start) }
func (s userService) restart() error { return s.afresh(s.manager.Restart) }

func (s userService) stop() error {
	if err := s.installed(); err != nil {
		return err
	}
	return s.manager.Stop()
}

// afresh starts the agent by way of start, also where systemd has given up on it for having
// failed too often: it does not know that the person who asks may have mended the cause.
func (s userService) afresh(start func() error) error {
	if err := s.installed(); err != nil {
		return err
	}
	_ = userSystemctl("reset-failed").Run() // start tells it if systemd does not answer
	if err := start(); err != nil {
		return fmt.Errorf("the agent does not start (%w): see %s", err, userJournal)
	}
	return nil
}

// userJournal is a command, in quotation marks, that shows why the agent ended.
const userJournal = `"journalctl --user -u keytender"`

func userSystemctl(verb string) *exec.Cmd {
	return exec.Command("systemctl", "--user", verb, "keytender")
}

func (s userService) installed() error {
	if _, err := os.Stat(s.unit); err != nil {
		return &api.Error{Code: api.InvalidRequest, Description: "it is not installed", Hint: `run "keytender service install --user" first`}
	}
	return nil
}

// serviceRunning is the state of a service that runs.
const serviceRunning = "running"

// state is serviceRunning, "starting", "stopping", "stopped" or "not installed". It is
// an error if the agent has ended with one and systemd does not try again.
func (s userService) state() (string, error) {
	if s.installed() != nil {
		return "not installed", nil
	}
	said, err := userSystemctl("is-active").Output()
	switch state := strings.TrimSpace(string(said)); state {
	case "active", "reloading":
		return serviceRunning, nil
	case "activating":
		return "starting", nil
	case "deactivating":
		return "stopping", nil
	case "inactive":
		return "stopped", nil
	case "failed":
		return "", fmt.Errorf("it has failed: see %s", userJournal)
	default:
		return "", fmt.Errorf("systemctl says %q: %w", state, err)
	}
}
