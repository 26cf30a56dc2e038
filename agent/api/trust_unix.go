//go:build unix

package api

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// errNoAccess is what the system says when the caller may not reach a socket.
var errNoAccess = syscall.EACCES

// linksFollowed bounds the symbolic links on the way to a socket, as Linux does.
const linksFollowed = 40

// trusted returns nil if nobody but root and this user could have put the
// socket where it is; a socket of somebody else's would be handed our
// requests. It goes the whole way from the root directory, links included:
// whoever can change one of the names on it can change where they all lead.
func trusted(socket string) error {
	path, err := filepath.Abs(socket)
	if err != nil {
		return err
	}
	w, err := newWay(socket)
	if err != nil {
		return err
	}
	at, ahead := "/", names(filepath.Dir(path))
	for links := 0; len(ahead) > 0; {
		if err := w.passes(at); err != nil {
			return err
		}
		next := filepath.Join(at, ahead[0])
		ahead = ahead[1:]
		info, err := os.Lstat(next)
		if err != nil {
			return err
		}
		if info.Mode().Type() != fs.ModeSymlink {
			at = next
			continue
		}
		if links++; links > linksFollowed {
			return &fs.PathError{Op: "follow", Path: next, Err: syscall.ELOOP}
		}
		target, err := os.Readlink(next)
		if err != nil {
			return err
		}
		if !slices.Contains(w.owners, statOf(info).Uid) {
			return w.refusal("the link "+next+" on the way to it", info)
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		ahead = append(names(target), ahead...)
	}
	return w.ends(at)
}

// names are those that a path is made of.
func names(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// way is the way to a socket, and the users that may own what lies on it.
type way struct {
	socket string
	owners []uint32
}

// newWay takes the owner of the root directory for root: a user namespace may
// show root under another number.
func newWay(socket string) (way, error) {
	top, err := os.Lstat("/")
	if err != nil {
		return way{}, err
	}
	return way{socket, []uint32{0, uint32(os.Getuid()), statOf(top).Uid}}, nil
}

// passes returns nil if nobody else can turn the way elsewhere in dir. A
// sticky directory is no danger, for what comes next must belong to an owner
// too; nor is a group of the user's own.
func (w way) passes(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, mode := statOf(info), info.Mode()
	us := uint32(os.Getuid())
	ours := stat.Gid == 0 || stat.Uid == us && stat.Gid == us
	open := mode.Perm()&0o002 != 0 || mode.Perm()&0o020 != 0 && !ours
	if slices.Contains(w.owners, stat.Uid) && (!open || mode&fs.ModeSticky != 0) {
		return nil
	}
	return w.refusal(dir+" on the way to it", info)
}

// ends returns nil if nobody else can put another socket into dir, where the
// way ends.
func (w way) ends(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if (ofMachine(w.socket) || slices.Contains(w.owners, statOf(info).Uid)) && info.Mode().Perm()&0o022 == 0 {
		return nil
	}
	return w.refusal("its directory", info)
}

func (w way) refusal(what string, info fs.FileInfo) error {
	return &Error{
		Code:        AccessDenied,
		Description: fmt.Sprintf("%s is not trusted: %s belongs to uid %d with mode %04o", w.socket, what, statOf(info).Uid, info.Mode().Perm()),
		Hint:        "use a directory that belongs to you or root and that nobody else can write, nor any directory above it",
	}
}

// ownedByUser tells whether what info is of belongs to this OS user.
func ownedByUser(info fs.FileInfo) bool { return statOf(info).Uid == uint32(os.Getuid()) }

func statOf(info fs.FileInfo) *syscall.Stat_t { return info.Sys().(*syscall.Stat_t) }

// ofMachine tells whether a socket is machine mode's, whose agent runs as an
// OS user of its own.
func ofMachine(socket string) bool { return socket == MachineSocket || socket == MachineAdminSocket }
