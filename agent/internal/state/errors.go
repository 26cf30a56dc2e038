package state

import (
	"errors"
	"fmt"
	"time"
)

// ErrNoMachineID says that this machine has no id of its own, as in minimal containers.
var ErrNoMachineID = errors.New("this machine has no id")

// ErrTooLarge says that a value is larger than a state file may be. What was saved before is
// still there.
var ErrTooLarge = errors.New("too large for a state file")

// HeldError says that another agent has the state, and which. PID is 0 and Since zero in the
// instant before a starting holder has written its name.
type HeldError struct {
	Dir     string
	PID     int
	Since   time.Time
	Program string
}

func (e *HeldError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("the state in %s is held by another agent", e.Dir)
	}
	return fmt.Sprintf("the state in %s is held by %s, pid %d, since %s",
		e.Dir, e.Program, e.PID, e.Since.UTC().Format(time.RFC3339))
}

// VersionError says that File was written by a newer program. It was left untouched.
type VersionError struct {
	File         string
	Found, Known int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s has version %d and this program knows %d: run the newer program that wrote it", e.File, e.Found, e.Known)
}

// ForeignError says that the state was made on another machine, or that this machine's id has
// changed or can no longer be found.
type ForeignError struct{ Dir string }

func (e *ForeignError) Error() string {
	return fmt.Sprintf("the state in %s was made on another machine: move it aside and pair here anew", e.Dir)
}

// BrokenError says that File is not one that Save has written in full, and in Err why.
// It was left untouched.
type BrokenError struct {
	File string
	Err  error
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("%s cannot be used: %v: restore it, or move it aside", e.File, e.Err)
}

func (e *BrokenError) Unwrap() error { return e.Err }
