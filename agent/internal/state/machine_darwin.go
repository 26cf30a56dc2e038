package state

import (
	"bytes"
	"context"
	"os/exec"
	"time"
)

// machineID asks the I/O registry for the hardware's UUID. Not verified on macOS.
func machineID() ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice").Output()
	if err != nil {
		return nil, err
	}
	_, after, _ := bytes.Cut(out, []byte(`"IOPlatformUUID" = "`))
	uuid, _, _ := bytes.Cut(after, []byte(`"`))
	if id := parseID(uuid); id != nil {
		return id, nil
	}
	return nil, ErrNoMachineID
}
