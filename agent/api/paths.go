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
// $XDG_RUNTIME_DIR/keytender, else /run/user/UID/keytender, else "run" in the
// user's state directory, for sessions (cron, containers) to which no runtime
// directory was given. It is "" for a user without a state directory.
//
// A runtime directory must be there and belong to the user, as its
// specification has it, else it is passed over: su keeps the variable, and it
// then names the directory of the user before.
func UserRuntimeDir() string {
	usual := filepath.Join("/run/user", strconv.Itoa(os.Getuid()))
	for _, dir := range []string{os.Getenv("XDG_RUNTIME_DIR"), usual} {
		if isUsers(dir) {
			return filepath.Join(dir, "keytender")
		}
	}
	state := UserStateDir()
	if state == "" {
		return ""
	}
	return filepath.Join(state, "run")
}

// isUsers tells whether path is absolute and a directory of this OS user's own.
func isUsers(path string) bool {
	info, err := os.Stat(path)
	return err == nil && filepath.IsAbs(path) && info.IsDir() && ownedByUser(info)
}

// passedOver is what $XDG_RUNTIME_DIR says, if UserRuntimeDir cannot use it.
func passedOver() string {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if isUsers(dir) {
		return ""
	}
	return dir
}

// UserStateDir is where this OS user's agent keeps its state:
// $XDG_STATE_HOME/keytender, else ~/.local/state/keytender, and "" for a user
// without a home: what is meant must then be named.
func UserStateDir() string {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "keytender")
	}
	home, err := os.UserHomeDir()
	if err != nil || !filepath.IsAbs(home) {
		return ""
	}
	return filepath.Join(home, ".local", "state", "keytender")
}

// UserSocket is the workload socket of this OS user's agent: keytender.sock in
// UserRuntimeDir, or "".
func UserSocket() string {
	dir := UserRuntimeDir()
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "keytender.sock")
}

// FindSocket is the workload socket that a client uses: explicit if it is not
// empty, else $KEYTENDER_SOCKET, else the user's own where there is one, else
// the machine's where there is one, else the user's own. It is "" for a user
// who can have none: see UserRuntimeDir.
func FindSocket(explicit string) string {
	if explicit != "" {
		return explicit
	}
	if env := os.Getenv("KEYTENDER_SOCKET"); env != "" {
		return env
	}
	own := UserSocket()
	for _, path := range []string{own, MachineSocket} {
		if _, err := os.Lstat(path); err == nil {
			return path
		}
	}
	return own
}

// AdminSocketFor is the admin socket of the agent whose workload socket is
// given: in machine mode a directory of its own, else its neighbour; of "" it
// is "".
func AdminSocketFor(workload string) string {
	switch workload {
	case "":
		return ""
	case MachineSocket:
		return MachineAdminSocket
	}
	return filepath.Join(filepath.Dir(workload), "admin.sock")
}
