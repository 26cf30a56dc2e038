//go:build unix

package audit

import (
	"os"
	"syscall"
)

const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

func truncate(f *os.File, size int64) error { return f.Truncate(size) }
