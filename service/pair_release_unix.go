//go:build unix

package main

import (
	"io/fs"
	"os"
	"syscall"
)

// ourOwn tells whether a pairing file is our own work, or root's for us, as far
// as its owner and mode can tell. What was mailed or downloaded is ours too, but
// under a umask that lets others read, as 022 does, they can: to close it is to
// say that one knows what it holds. Under a umask of 077 it is closed as it
// comes, and tar and unzip give a file the mode that the archive's maker chose;
// then nobody has said anything. Decision 8 takes that risk, of any stranger's
// file that arrives closed and is used without a terminal.
func ourOwn(info fs.FileInfo) bool {
	if info == nil || !info.Mode().IsRegular() {
		return false
	}
	owner, self, mode := int(info.Sys().(*syscall.Stat_t).Uid), os.Geteuid(), info.Mode().Perm()
	return owner == self && mode&0o077 == 0 || owner == 0 && self != 0 && mode&0o022 == 0
}
