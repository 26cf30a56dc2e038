// Keytender tends the keys so that robots never hold them. This program is
// the agent ("keytender run") and everything that people and scripts ask of
// it; its commands reach a running agent through its two sockets, with
// keytender/agent/api.
//
//	args ─► program.tree ─► one command a file ─► api.Client / api.Admin ─► agent
//	                                  └─ run, demo ─► agent.Open
package main

import (
	"context"
	"io"
	"log"
	"os"
)

// version is set by the linker: -ldflags "-X main.version=0.1.0".
var version = ""

func main() {
	// net/http tells the standard logger what a server says out of turn, which
	// may be the secret that it was sent. Our own log is a slog.Logger.
	log.SetOutput(io.Discard)
	p := &program{in: os.Stdin, out: os.Stdout, errs: os.Stderr}
	os.Exit(p.execute(context.Background(), os.Args[1:]))
}
