//go:build !unix

package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
)

// replaceProcess runs the program at path and ends as it ends: where no
// process can become another, a console's interrupt reaches both, and this
// one leaves it to the program.
func replaceProcess(path string, args, env []string) error {
	signal.Ignore(os.Interrupt)
	c := &exec.Cmd{Path: path, Args: args, Env: env, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	err := c.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return exitStatus(ended.ExitCode())
	}
	return err
}
