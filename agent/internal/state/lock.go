package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// holder is the content of the lock file. It is for people: what locks is the kernel's lock on
// the open file, which ends with its process, so that a file left behind holds nobody up.
type holder struct {
	PID     int       `json:"pid"`
	Since   time.Time `json:"since"`
	Program string    `json:"program"`
}

func takeLock(dir string, now time.Time) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE|openSafely, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the state: %w", err)
	}
	held, err := tryLock(f)
	if held {
		return nil, errors.Join(heldBy(dir, f), f.Close())
	}
	if err == nil {
		err = sign(f, now)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the state: %w", err), f.Close())
	}
	return f, nil
}

func heldBy(dir string, f *os.File) error {
	var h holder
	raw := make([]byte, 4096)
	n, _ := f.ReadAt(raw, 0)
	if json.Unmarshal(raw[:n], &h) != nil {
		return &HeldError{Dir: dir}
	}
	return &HeldError{Dir: dir, PID: h.PID, Since: h.Since, Program: h.Program}
}

func sign(f *os.File, now time.Time) error {
	raw, err := json.Marshal(holder{os.Getpid(), now.UTC().Truncate(time.Second), filepath.Base(os.Args[0])})
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(raw, '\n'), 0)
	return err
}

// releaseLock takes the name out first: whoever finds the lock taken again before the next
// holder has signed must not read an old one.
func releaseLock(f *os.File) error {
	emptied := f.Truncate(0)
	if err := f.Close(); err != nil {
		return fmt.Errorf("unlock the state: %w", err)
	}
	if emptied != nil {
		return fmt.Errorf("unlock the state: %w", emptied)
	}
	return nil
}
