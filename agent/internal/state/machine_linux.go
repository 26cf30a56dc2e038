package state

import (
	"errors"
	"io/fs"
	"os"
)

// machineID reads the id of machine-id(5), or that of D-Bus where systemd never ran.
func machineID() ([]byte, error) {
	return firstID("/etc/machine-id", "/var/lib/dbus/machine-id")
}

// firstID returns the first id found. An empty file and "uninitialized", which images carry
// until their first boot, are none.
func firstID(files ...string) ([]byte, error) {
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if id := parseID(raw); id != nil {
			return id, nil
		}
	}
	return nil, ErrNoMachineID
}
