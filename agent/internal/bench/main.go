// The benchmark that "make bench" runs: how fast the agent hands out a cached
// token, and how small it is, measured in one run beside a bare net/http server
// that answers the same bytes. docs/benchmarks.md says how to read it.
//
//	orchestratortest (this process) ◄── agent (child: the real binary) ◄─┐ the same
//	                                    bare  (child: this binary again) ◄─┘ callers
//
//	plan.run ─► starts ─► stores ─► idle memory ─► proof ─► rounds of cells ─► loaded memory ─► crowd ─► report
//
// Tokens whose secret rests in each kind of store are measured with the servers
// of vaulttest, on a stage in the place of a test.
//
// It reads /proc, so it runs on Linux only; elsewhere it says so and fails.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// command runs what the arguments say. A missed aim is no error.
func command(ctx context.Context) error {
	p := plan{settle: 3 * time.Second, crowd: 10_000}
	flag.StringVar(&p.keytender, "keytender", "bin/keytender", "the program to measure")
	flag.IntVar(&p.rounds, "rounds", 5, "rounds; each figure is the median of them")
	seconds := flag.Float64("seconds", 1, "length of one cell; each round has 16 of them, and one more for each store")
	out := flag.String("out", "", "write the figures to this `file` as JSON, too")
	bare := flag.String("bare", "", "be the bare server, with a unix socket at this `path` (for the benchmark itself)")
	flag.Parse()
	if *bare != "" {
		return serveBare(os.Stdin, os.Stdout, *bare)
	}
	if flag.NArg() > 0 || p.rounds < 1 || *seconds <= 0 {
		return fmt.Errorf("wrong arguments: at least one round of more than no time, and nothing beside the flags")
	}
	p.length = time.Duration(*seconds * float64(time.Second))
	r, err := p.run(ctx)
	if err != nil {
		return err
	}
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	if *out == "" {
		return nil
	}
	return r.write(*out)
}
