package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"keytender/agent/api"
	"keytender/vault"
)

// Mode is for whom an agent runs.
type Mode string

// The two modes.
const (
	User    Mode = "user"    // one person's desktop, as that person
	Machine Mode = "machine" // unattended robots and many users, as a system service
)

// ParseMode reads a mode as it is written on the command line.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case User, Machine:
		return m, nil
	}
	return "", fmt.Errorf("mode %q: there are two modes, user and machine", s)
}

// ConfigPath is where config.yaml of a mode is looked for; "" for a user
// without a home.
func ConfigPath(m Mode) string {
	if m == Machine {
		return machinePath("/etc/keytender/config.yaml", "config.yaml")
	}
	dir, err := os.UserConfigDir()
	if err != nil || !filepath.IsAbs(dir) {
		return ""
	}
	return filepath.Join(dir, "keytender", "config.yaml")
}

// StateDir is where the state of a mode is kept; "" for a user without a home.
func StateDir(m Mode) string {
	if m == Machine {
		return machinePath("/var/lib/keytender", "state")
	}
	return api.UserStateDir()
}

// notOfMachine tells who runs machine mode, if err is that this process's user
// may not use the machine's own state or socket.
func (o Options) notOfMachine(err error) error {
	machines := o.State == StateDir(Machine) || o.Socket == socketFor(Machine)
	if o.Mode != Machine || !machines || os.Geteuid() <= 0 || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf(`uid %d may not use the machine's directories (%w): machine mode is run by root or by the packages' unit ("systemctl start keytender"); to try it, name directories of your own with --state and --socket`, os.Geteuid(), err)
}

// machinePath is unix, or name in the vendor folder of other systems.
func machinePath(unix, name string) string {
	switch runtime.GOOS {
	case "windows":
		return filepath.Join(os.Getenv("ProgramData"), "Keytender", name)
	case "darwin":
		return filepath.Join("/Library/Application Support/Keytender", name)
	default:
		return unix
	}
}

// socketFor is the workload socket of a mode; "" for a user without a place
// for one.
func socketFor(m Mode) string {
	if m == Machine {
		return api.MachineSocket
	}
	return api.UserSocket()
}

// defaultTCP is where the TCP door listens when config.yaml does not say.
func defaultTCP(m Mode) string {
	if m == Machine {
		return "127.0.0.1:15398"
	}
	return "127.0.0.1:0"
}

// defaultStore is the store of profiles that name none.
func defaultStore(m Mode, ephemeral bool) vault.Config {
	switch {
	case ephemeral:
		return vault.Config{URL: "memory:"}
	case m == Machine && runtime.GOOS != "windows":
		return vault.Config{URL: "sealed:"}
	default:
		return vault.Config{URL: "keyring:"}
	}
}
