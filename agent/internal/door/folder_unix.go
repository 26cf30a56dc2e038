//go:build linux || darwin

package door

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// prepare makes dir and what is missing above it, with mode 0700, and returns
// nil if nobody but root and this process's user can put another file or
// directory in the place of one in it.
func prepare(dir string) error {
	if err := walk(dir); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if owner := ownerOf(info); owner != os.Geteuid() {
		return fmt.Errorf("its directory belongs to uid %d, not to this agent's uid %d: choose a directory of your own", owner, os.Geteuid())
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("others can write its directory (mode %04o): run \"chmod go-w %s\"", info.Mode().Perm(), dir)
	}
	return nil
}

// walk goes from the root down to dir, makes what is missing, and refuses
// what somebody else could turn elsewhere.
func walk(dir string) error {
	at := "/"
	for name := range strings.SplitSeq(strings.Trim(dir, "/"), "/") {
		at = filepath.Join(at, name)
		info, err := os.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			if err = os.Mkdir(at, 0o700); err == nil || errors.Is(err, fs.ErrExist) {
				info, err = os.Lstat(at)
			}
		}
		if err == nil && info.Mode().Type() == fs.ModeSymlink {
			if ownerOf(info) != 0 || at == dir {
				return fmt.Errorf("%s is a symbolic link: give the path that it leads to", at)
			}
			info, err = os.Stat(at) // root's own, like /var/run
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%s is not a directory", at)
		}
		if info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
			return fmt.Errorf("anyone can write %s (mode %04o): run \"chmod o-w %s\", or choose another path", at, info.Mode().Perm(), at)
		}
	}
	return nil
}

func ownerOf(info os.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }
