package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"keytender/installer/testbed"
)

// stage is where servers stand that were made for tests, in the place of a test.
// What would fail a test ends the run.
type stage struct {
	ctx  context.Context
	dir  string // for their files
	ends []func()
}

var _ testbed.Test = (*stage)(nil)

// fall is what Fatal panics with.
type fall string

// onStage has do done with a stage, and clears it. The error is that of do, or
// what Fatal said.
func onStage(ctx context.Context, dir string, do func(testbed.Test) error) (err error) {
	ctx, over := context.WithCancel(ctx)
	s := &stage{ctx: ctx, dir: dir}
	defer func() {
		why := recover()
		over()
		for _, end := range slices.Backward(s.ends) {
			end()
		}
		if said, fell := why.(fall); fell {
			err = errors.New(string(said))
		} else if why != nil {
			panic(why)
		}
	}()
	return do(s)
}

func (*stage) Helper() {}

func (*stage) Fatal(args ...any) { panic(fall(fmt.Sprint(args...))) }

func (*stage) Fatalf(format string, args ...any) { panic(fall(fmt.Sprintf(format, args...))) }

func (s *stage) Cleanup(end func()) { s.ends = append(s.ends, end) }

func (s *stage) TempDir() string {
	dir, err := os.MkdirTemp(s.dir, "stage-")
	if err != nil {
		s.Fatal(err)
	}
	return dir
}

func (*stage) Output() io.Writer { return os.Stderr }

func (s *stage) Context() context.Context { return s.ctx }
