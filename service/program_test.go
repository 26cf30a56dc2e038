package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestEveryCommandShowsOneExample(t *testing.T) {
	p := &program{in: os.Stdin, out: os.Stdout, errs: os.Stderr}
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		if !strings.HasPrefix(c.Example, "  ") || strings.Contains(c.Example, "\n") {
			t.Errorf("%s: example %q", c.CommandPath(), c.Example)
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short %q", c.CommandPath(), c.Short)
		}
		for _, child := range c.Commands() {
			visit(child)
		}
	}
	visit(p.tree())
}
