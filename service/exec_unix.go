//go:build unix

package main

import "syscall"

// replaceProcess becomes the program at path: its signals and its exit status
// are then the system's own, and no keytender process with a token in it
// stays behind. It returns only if that failed.
func replaceProcess(path string, args, env []string) error {
	return syscall.Exec(path, args, env)
}
