package api

import (
	"os"
	"path/filepath"
	"strconv"
)

// The sockets of machine mode.
const (
	MachineSocket      = "/run/keytender/keytender.sock"
	MachineAdminSocket = "/run/keytender-admin/admin.sock"
)

// UserRuntimeDir is where the doors of this OS user's agent are:
// $XDG_RUNTIME_DIR/keytender, else /run/user/UID/keytender where the system
// made that directory, else "run" in the user's state directory, for
// sessions (cron, containers) to which no runtime directory was given.
func UserRuntimeDir() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "keytender")
	}
	dir := filepath.Join("/run/user", strconv.Itoa(os.Getuid()))
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return filepath.Join(dir, "keytender")
	}
	return filepath.Join(UserStateDir(), "run")
}

// UserStateDir is where this OS user's agent keeps its state:
// $XDG_STATE_HOME/keytender, else ~/.local/state/keytender.
func UserStateDir() string {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "keytender")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "" // no home: callers must be told by --state
	}
	return filepath.Join(home, ".local", "state", "keytender")
}

// FindSocket is the workload socket that a client uses: explicit if it is not
// empty, else $KEYTENDER_SOCKET, else the user's own where there is one, else
// the machine's where there is one, else the user's own.
func FindSocket(explicit string) string {
	if explicit != "" {
		return explicit
	}
	if env := os.Getenv("KEYTENDER_SOCKET"); env != "" {
		return env
	}
	own := filepath.Join(UserRuntimeDir(), "keytender.sock")
	for _, path := range []string{own, MachineSocket} {
		if _, err := os.Lstat(path); err == nil {
			return path
		}
	}
	return own
}

// AdminSocketFor is the admin socket of the agent whose workload socket is
// given: in machine mode a directory of its own, else its neighbour.
func AdminSocketFor(workload string) string {
	if workload == MachineSocket {
		return MachineAdminSocket
	}
	return filepath.Join(filepath.Dir(workload), "admin.sock")
}
