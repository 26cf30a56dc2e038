package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"keytender/agent/api"
	"keytender/vault"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// secretLimit bounds what is read as one secret.
const secretLimit = 64 << 10

// standardInput is how a command line names standard input in the place of a file.
const standardInput = "-"

// secretSource is where a command reads a secret from: a file, a variable,
// or a prompt. A secret is never an argument, for every process can read
// those.
type secretSource struct {
	file string // or standardInput
	env  string
}

func (s *secretSource) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.file, "secret-file", "", "read the secret from `FILE`, or from standard input if it is -")
	c.Flags().StringVar(&s.env, "secret-env", "", "read the secret from this environment `VARIABLE`")
}

// besideStandardInput returns nil if s says where the secret is when something
// else comes on standard input. Nobody can be asked then, neither for the
// secret nor whether a file may be read: the answer, too, would come from there.
func (s *secretSource) besideStandardInput(c *cobra.Command) error {
	switch {
	case s.file == standardInput:
		return misused(c, "standard input holds the pairing file or the secret, not both: give one of them a file")
	case *s == secretSource{}:
		return misused(c, "the pairing file comes on standard input: say where the secret is with --secret-file FILE or --secret-env NAME (a secret_file that it names is not read)")
	}
	return nil
}

// secret reads the secret of owner, the words in which a prompt asks for it,
// without the line end that editors and echo put behind it.
func (p *program) secret(c *cobra.Command, s secretSource, owner string) (vault.Secret, error) {
	text, err := p.secretText(c, s, owner)
	if err != nil {
		return vault.Secret{}, err
	}
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	switch {
	case text == "":
		return vault.Secret{}, misused(c, "the secret is empty")
	case len(text) > secretLimit:
		return vault.Secret{}, misused(c, fmt.Sprintf("the secret is longer than %d bytes", secretLimit))
	}
	return vault.NewSecret(text), nil
}

func (p *program) secretText(c *cobra.Command, s secretSource, owner string) (string, error) {
	switch {
	case s.file != "" && s.env != "":
		return "", misused(c, "--secret-file and --secret-env exclude each other")
	case s.file == standardInput:
		return readSecret(p.in)
	case s.file != "":
		f, err := os.Open(s.file)
		if err != nil {
			return "", doing("read the secret", err)
		}
		defer f.Close()
		return readSecret(f)
	case s.env != "":
		text, set := os.LookupEnv(s.env)
		if !set {
			return "", misused(c, "the variable "+s.env+" is not set")
		}
		return text, nil
	case term.IsTerminal(int(p.in.Fd())):
		return p.promptSecret(owner)
	default:
		return "", misused(c, "there is no terminal to ask for the secret on: give --secret-file FILE (- is standard input) or --secret-env NAME")
	}
}

func readSecret(r io.Reader) (string, error) {
	content, err := io.ReadAll(io.LimitReader(r, secretLimit+2))
	return string(content), doing("read the secret", err)
}

// promptSecret asks on the terminal, which shows nothing of what is typed. A
// person who gives up with Ctrl-C gets the terminal back as it was.
func (p *program) promptSecret(owner string) (string, error) {
	fd := int(p.in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", doing("ask for the secret", err)
	}
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupt)

	type line struct {
		text []byte
		err  error
	}
	typed := make(chan line, 1)
	say(p.errs, "Secret of %s (not shown): ", owner)
	go func() { // ends with the process if nobody types
		text, err := term.ReadPassword(fd)
		typed <- line{text, err}
	}()
	select {
	case got := <-typed:
		say(p.errs, "\n")
		if errors.Is(got.err, io.EOF) {
			return "", nil
		}
		return string(got.text), doing("ask for the secret", got.err)
	case <-interrupt:
		_ = term.Restore(fd, before)
		say(p.errs, "\n")
		return "", doing("ask for the secret", &api.Error{Code: api.InvalidRequest, Description: "interrupted", Hint: "nothing was changed"})
	}
}
