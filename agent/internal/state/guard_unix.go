//go:build unix

package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// openSafely follows no symbolic link in the last element, and does not hang on a named pipe.
const openSafely = unix.O_NOFOLLOW | unix.O_NONBLOCK

// makeDir makes dir if it is missing and refuses one that others could have a hand in.
// Its parents are trusted: they may be symbolic links, as /var is on macOS.
func makeDir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|openSafely, 0)
	if err != nil {
		if info, lerr := os.Lstat(dir); lerr == nil && !info.IsDir() {
			return fmt.Errorf("%s is %s, not a directory", dir, describe(info.Mode()))
		}
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := checkOwner(info); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}

func describe(m os.FileMode) string {
	if m&os.ModeSymlink != 0 {
		return "a symbolic link"
	}
	return "a file"
}

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
