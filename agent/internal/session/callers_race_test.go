//go:build race

package session_test

// callers is less than the 8,128 goroutines that the race detector can follow.
const callers = 5_000
