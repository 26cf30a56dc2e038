//go:build unix

package vault

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// openKeyFile follows no symbolic link and does not wait for a pipe's writer.
func openKeyFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link, not a regular file", path)
	}
	return f, err
}

// ownKeyFile accepts a file that only its owner can read, and whose owner is
// this process' user or root.
func ownKeyFile(info os.FileInfo) error {
	if mode := info.Mode().Perm(); mode != 0o400 && mode != 0o600 {
		return fmt.Errorf("has mode %04o, not 0400 or 0600", mode)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("has no owner that could be told")
	}
	if owner.Uid != 0 && int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("belongs to user %d, not to this user or root", owner.Uid)
	}
	return nil
}
