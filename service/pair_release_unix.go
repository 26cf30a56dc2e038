//go:build unix

package main

import (
	"io/fs"
	"os"
	"syscall"
)

// ourOwn tells whether a pairing file is our own work, or root's for us. What
// was mailed or downloaded is ours too, but by default others can read it: to
// close it is to say that one knows what it holds. An archive that was unpacked
// can bring a closed file along (decision 8 says so).
func ourOwn(info fs.FileInfo) bool {
	if info == nil || !info.Mode().IsRegular() {
		return false
	}
	owner, self, mode := int(info.Sys().(*syscall.Stat_t).Uid), os.Geteuid(), info.Mode().Perm()
	return owner == self && mode&0o077 == 0 || owner == 0 && self != 0 && mode&0o022 == 0
}
