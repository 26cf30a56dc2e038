package state

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/windows"
)

const openSafely = 0

// makeDir makes dir if it is missing. Not verified on Windows: the directory's access list is
// what it inherits, which under the user's profile and under an installed %ProgramData% folder
// keeps others out; it is not read here.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	return nil
}

func checkOwner(os.FileInfo) error { return nil }

// tryLock locks one byte far behind the file's end: Windows forbids reading what is locked,
// and the holder's name must stay readable.
func tryLock(f *os.File) (held bool, err error) {
	far := &windows.Overlapped{OffsetHigh: 1 << 30}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, far)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return true, nil
	}
	return false, err
}
