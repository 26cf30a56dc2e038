package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"keytender/agent/api"

	"github.com/spf13/cobra"
)

// failure is an error with what the command was doing when it met it.
type failure struct {
	doing string
	err   error
}

func (f *failure) Error() string { return f.doing + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// doing says what was being done when err came; nil stays nil.
func doing(what string, err error) error {
	if err == nil {
		return nil
	}
	return &failure{doing: what, err: err}
}

// exitStatus ends the program with that status and says nothing more: what
// there is to say was the command's output.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// misused tells that c was used wrongly.
func misused(c *cobra.Command, why string) error {
	return doing(strings.TrimPrefix(c.CommandPath(), "keytender "), &api.Error{
		Code:        api.InvalidRequest,
		Description: why,
		Hint:        fmt.Sprintf("see %q", c.CommandPath()+" --help"),
	})
}

func unknownCommand(c *cobra.Command, word string) error {
	hint := fmt.Sprintf("see %q", c.CommandPath()+" --help")
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(word); len(near) > 0 {
		hint = fmt.Sprintf("is it %q?", c.CommandPath()+" "+near[0])
	}
	return &api.Error{Code: api.InvalidRequest, Description: fmt.Sprintf("unknown command %q", word), Hint: hint}
}

// tooMany does not repeat the argument, which may be a secret that somebody
// hoped to give this way.
func tooMany(c *cobra.Command) error { return misused(c, "there is an argument too many") }

// exactly is cobra.ExactArgs with our words: it takes one argument for every
// name.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return misused(c, names[len(args)]+" is missing")
		case len(args) > len(names):
			return tooMany(c)
		}
		return nil
	}
}

// atMostOne takes no argument or one.
func atMostOne(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return tooMany(c)
	}
	return nil
}

// first is the first argument, or "".
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// report tells err, if any, on standard error and returns the exit status:
// with --json as an api.Error, else as "keytender: what: why: what to do".
func (p *program) report(err error) int {
	if err == nil {
		return api.ExitDone
	}
	if status, ok := errors.AsType[exitStatus](err); ok {
		return int(status)
	}
	answer, ok := errors.AsType[*api.Error](err)
	if !ok {
		answer = &api.Error{Code: api.ServerError, Description: err.Error()}
	}
	if p.json {
		_ = json.NewEncoder(p.errs).Encode(answer)
	} else {
		say(p.errs, "keytender: %s\n", sentence(err, answer))
	}
	return answer.Code.Exit()
}

// sentence is "what: why: what to do" on one line. That nobody answers is the
// same news whatever the command was about to do.
func sentence(err error, answer *api.Error) string {
	said := err.Error()
	if answer.Code == api.Unavailable {
		said = "reach the agent: " + answer.Error()
	}
	return strings.ReplaceAll(strings.TrimSpace(said), "\n", "; ")
}

// warn tells p's person something that does not stop the command.
func (p *program) warn(text string) { say(p.errs, "keytender: warning: %s\n", text) }
