//go:build unix

package api

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// errNoAccess is what the system says when the caller may not reach a socket.
var errNoAccess = syscall.EACCES

// trusted returns nil if nobody but root and this user could have put the
// socket where it is; a socket in a directory of somebody else's would be
// handed our requests.
func trusted(socket string) error {
	dir := filepath.Dir(socket)
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	known := owner == 0 || owner == uint32(os.Getuid()) || dir == filepath.Dir(MachineSocket) || dir == filepath.Dir(MachineAdminSocket)
	if known && info.Mode().Perm()&0o022 == 0 {
		return nil
	}
	return &Error{
		Code:        AccessDenied,
		Description: fmt.Sprintf("%s is not trusted: its directory belongs to uid %d with mode %04o", socket, owner, info.Mode().Perm()),
		Hint:        "use a directory that belongs to you or root and that nobody else can write",
	}
}
