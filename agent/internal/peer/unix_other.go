//go:build !linux && !darwin

package peer

import (
	"errors"
	"fmt"
	"net"
	"runtime"
)

func ofUnix(*net.UnixConn, func(uint32) string) (Caller, error) {
	return Caller{}, fmt.Errorf("ask for the peer's credentials on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
