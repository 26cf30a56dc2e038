//go:build unix

package ownership

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"keytender/agent/internal/userns"
)

// MakeDir makes dir, an absolute path, and what is missing above it, with mode
// 0700. It refuses a dir that is not this process's user's or that others can
// write, and a way to it that goes through
//
//   - a directory whose owner is neither root nor this process's user,
//   - one that others can write, unless it is sticky, as /tmp is,
//   - a symbolic link of anybody else; others are followed, and the way that
//     they lead is looked at too. As the last name no link is taken.
//
// The error names the directory and what to do. Of somebody else's directory
// it is fs.ErrPermission, as that of one that the system does not let us make.
func MakeDir(dir string) error {
	at, err := newWay().down(dir)
	if err != nil {
		return err
	}
	info, err := os.Lstat(at)
	if err != nil {
		return err
	}
	if owner := statOf(info).Uid; int(owner) != os.Geteuid() {
		return foreign(fmt.Sprintf("%s belongs to uid %d, and this agent runs as uid %d: choose a directory of its own", at, owner, os.Geteuid()))
	}
	if info.Mode().Perm()&0o022 != 0 {
		return writable(at, info)
	}
	return nil
}

// foreign is the error of a directory that belongs to somebody else.
type foreign string

func (f foreign) Error() string   { return string(f) }
func (foreign) Is(err error) bool { return err == fs.ErrPermission }

// way is how a directory is reached.
type way struct {
	trusted []uint32 // who may own what is on it
	links   int      // that were followed
}

func newWay() *way {
	w := &way{trusted: []uint32{0, uint32(os.Geteuid())}}
	// A user manager's sandbox maps its own user alone: root is nobody there,
	// and nothing tells its directories from those of others.
	nobody, ok := userns.Nobody()
	if root, err := os.Lstat("/"); ok && err == nil && statOf(root).Uid == nobody {
		w.trusted = append(w.trusted, nobody)
	}
	return w
}

// down goes to dir and returns its path without links.
func (w *way) down(dir string) (string, error) {
	at := "/"
	if err := w.look(at); err != nil {
		return "", err
	}
	for names := split(dir); len(names) > 0; {
		next := filepath.Join(at, names[0]) // of ".." too: there is no link in at
		names = names[1:]
		info, err := makeOne(next)
		if err != nil {
			return "", err
		}
		if info.Mode().Type() != fs.ModeSymlink {
			at = next
			if err := w.look(at); err != nil {
				return "", err
			}
			continue
		}
		target, err := w.follow(next, info, len(names) == 0)
		if err != nil {
			return "", err
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		names = append(split(target), names...)
	}
	return at, nil
}

// makeOne makes a directory at path if nothing is there.
func makeOne(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return info, err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.Lstat(path)
}

// look refuses a directory in which others could exchange what is not theirs.
func (w *way) look(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	if owner := statOf(info).Uid; !slices.Contains(w.trusted, owner) {
		return foreign(fmt.Sprintf(`%s belongs to uid %d, who could put another directory in the place of what is in it: choose another path (--state, --socket; $XDG_RUNTIME_DIR and $HOME may be another user's)`, dir, owner))
	}
	others := info.Mode().Perm() & 0o022
	if ownGroup(info) {
		others &^= 0o020
	}
	if others != 0 && info.Mode()&fs.ModeSticky == 0 {
		return writable(dir, info)
	}
	return nil
}

// follow returns where a link leads.
func (w *way) follow(link string, info fs.FileInfo, last bool) (string, error) {
	if last || !slices.Contains(w.trusted, statOf(info).Uid) {
		return "", fmt.Errorf("%s is a symbolic link: give the path that it leads to", link)
	}
	if w.links++; w.links > 40 { // as many as Linux follows
		return "", &fs.PathError{Op: "follow", Path: link, Err: syscall.ELOOP}
	}
	return os.Readlink(link)
}

// ownGroup tells whether a directory's group is root's, as containers have it,
// or the one that Debian, Fedora and others make for a person alone, with the
// same number: there a person's directories are group-writable because the
// umask is 002, and open to nobody else.
func ownGroup(info fs.FileInfo) bool {
	s, us := statOf(info), uint32(os.Geteuid())
	return s.Gid == 0 || s.Uid == us && s.Gid == us
}

func writable(dir string, info fs.FileInfo) error {
	if statOf(info).Uid != uint32(os.Geteuid()) {
		return fmt.Errorf("others can write %s (mode %04o): choose another path (--state, --socket)", dir, info.Mode().Perm())
	}
	return fmt.Errorf(`others can write %s (mode %04o): run "chmod go-w %s", or choose another path`, dir, info.Mode().Perm(), dir)
}

func statOf(info fs.FileInfo) *syscall.Stat_t { return info.Sys().(*syscall.Stat_t) }

func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}
