package testbed

import (
	"context"
	"io"
)

// Test is what a server needs of whoever starts it. *testing.T and *testing.B
// are such; a program that is no test can be one too.
type Test interface {
	// Helper is called by functions that speak for their caller.
	Helper()
	// Fatal says why it cannot go on. It does not return.
	Fatal(args ...any)
	// Fatalf is Fatal with a format.
	Fatalf(format string, args ...any)
	// Cleanup has end called when the test is over, the last one first.
	Cleanup(end func())
	// TempDir makes a directory that is gone afterwards.
	TempDir() string
	// Output takes what servers say for people.
	Output() io.Writer
	// Context ends before the functions of Cleanup are called.
	Context() context.Context
}
