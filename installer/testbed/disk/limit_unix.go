//go:build unix

package disk

import (
	"os/signal"
	"syscall"
	"testing"
)

// Limit has the kernel refuse what goes beyond size in any file that this
// process writes during during: it takes the first bytes and refuses the rest,
// as a disk does that fills. It needs a process of the test's own, see
// alone.Run: the test runner writes files too, at times of its own.
func Limit(t *testing.T, size uint64, during func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	during()
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
}
