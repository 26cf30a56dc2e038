//go:build !linux && !darwin

package door

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// ListenUnix is not on this system yet: its doors will be named pipes.
func ListenUnix(path string, _ os.FileMode) (net.Listener, error) {
	return nil, fmt.Errorf("open the door %s: %w", path, errNotHere)
}

func isInUse(error) bool { return false }

// errNotHere is what this version cannot do on this operating system.
var errNotHere = errors.New("not on this system yet: use the TCP door")
