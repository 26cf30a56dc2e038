//go:build unix

package state

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"keytender/agent/internal/ownership"
)

// openSafely follows no symbolic link in the last element, and does not hang on a named pipe.
const openSafely = unix.O_NOFOLLOW | unix.O_NONBLOCK

// makeDir makes dir if it is missing and refuses one that others could have a hand in, or could
// turn elsewhere.
func makeDir(dir string) error { return ownership.MakeDir(dir) }

// checkOwner refuses what this user does not own or others can write.
func checkOwner(info os.FileInfo) error {
	owner := info.Sys().(*syscall.Stat_t).Uid
	if int(owner) != os.Geteuid() {
		return fmt.Errorf("it belongs to uid %d and this program runs as uid %d", owner, os.Geteuid())
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("group or others can write it (mode %04o)", info.Mode().Perm())
	}
	return nil
}

func tryLock(f *os.File) (held bool, err error) {
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
