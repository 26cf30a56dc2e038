//go:build !race

package session_test

const callers = 10_000
