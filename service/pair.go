package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"keytender/agent/api"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// pairing is what "keytender pair" was asked to do.
type pairing struct {
	api.Pairing
	source   secretSource
	settings []string
	from     string
	fileInfo fs.FileInfo // of the pairing file, where that names the secret's
}

func (p *program) pairCommand() *cobra.Command {
	var x pairing
	c := &cobra.Command{
		Use:                   "pair NAME [flags] | keytender pair --from FILE",
		DisableFlagsInUseLine: true,
		Short:                 "Pair a profile with its Orchestrator or OAuth 2.0 provider",
		Long: `Pair a profile: find its Identity Server, prove the secret with a first token,
and only then store it. A pairing that fails leaves nothing behind.

The secret is asked for on the terminal, or read from --secret-file or
--secret-env; it is never an argument. With --entry it is not asked for: what
rests in the store under that name already is used, and stays there:
  keytender pair invoices --kind robot --url URL --store corp --entry invoices --client-id-from entry

A pairing file can name its own "secret_file". Whoever wrote it then chose
which file is read and where that goes: on a terminal you are asked first, and
without one the pairing file must be yours and closed to everyone else (chmod
600), or root's and writable by root alone; else give --secret-file.

A pairing that comes on standard input (--from -) chooses no file: say where the
secret is with --secret-file or --secret-env.`,
		Example: "  keytender pair invoices --kind robot --url https://cloud.uipath.com/acme/prod/orchestrator_ --client-id 3c1e",
		RunE: func(c *cobra.Command, args []string) error {
			if err := x.parse(c, args); err != nil {
				return err
			}
			return p.pair(c, x)
		},
	}
	f := c.Flags()
	f.StringVar(&x.Kind, "kind", "", "`KIND` of client: robot (a machine object) or app (a confidential external application)")
	f.StringVar(&x.URL, "url", "", "`URL` of the Orchestrator")
	f.StringVar(&x.ClientID, "client-id", "", "client `ID`")
	f.StringVar(&x.ClientIDFrom, "client-id-from", "", "entry: take the client id from the `ENTRY`, where it rests beside the secret")
	f.StringVar(&x.Entry, "entry", "", "`NAME` of the entry in a shared vault; without a secret, the one that rests there is used")
	f.StringVar(&x.Identity, "identity", "", "`URL` of the Identity Server or OAuth 2.0 provider, if it is not the Orchestrator's own")
	f.StringVar(&x.TokenEndpoint, "token-endpoint", "", "`URL` the secret may be sent to, if it is on another origin than the Identity Server")
	f.StringArrayVar(&x.Scopes, "scope", nil, "`SCOPE` to ask for (repeat for more)")
	f.StringVar(&x.Store, "store", "", "`STORE` of the secret: a name of config.yaml, keyring: or sealed:")
	f.StringArrayVar(&x.settings, "set", nil, "`KEY=VALUE`: audience, token_lifetime, tenant or folder (repeat for more)")
	f.StringVar(&x.Edition, "edition", "", "`EDITION` of the Orchestrator: cloud, suite or standalone, where the URL does not tell")
	f.BoolVar(&x.Replace, "replace", false, "replace a pairing of the same name")
	f.StringVar(&x.from, "from", "", "take everything from this pairing `FILE`, or from standard input if it is -")
	x.source.flags(c)
	return c
}

// parse completes x from the arguments or the pairing file.
func (x *pairing) parse(c *cobra.Command, args []string) error {
	if x.from != "" {
		return x.parseFile(c, args)
	}
	if err := exactly("NAME")(c, args); err != nil {
		return err
	}
	x.Version, x.Name = api.Version, args[0]
	x.Settings = make(map[string]string, len(x.settings))
	for _, s := range x.settings {
		key, value, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			return misused(c, "--set takes KEY=VALUE")
		}
		x.Settings[key] = value
	}
	return x.complete(c, "--kind", "--client-id", "--url or --identity")
}

func (x *pairing) parseFile(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misused(c, "the name stands in the pairing file: leave it out")
	}
	for _, flag := range []string{"kind", "url", "client-id", "client-id-from", "identity", "scope", "store", "entry", "set", "edition"} {
		if c.Flags().Changed(flag) {
			return misused(c, "--"+flag+" stands in the pairing file: leave it out")
		}
	}
	if x.from == standardInput {
		if err := x.source.besideStandardInput(c); err != nil {
			return err
		}
	}
	read, secretFile, info, err := readPairingFile(x.from, c.InOrStdin())
	if err != nil {
		return err
	}
	read.Replace = x.Replace
	if x.TokenEndpoint != "" {
		read.TokenEndpoint = x.TokenEndpoint
	}
	x.Pairing = read
	if x.source == (secretSource{}) && secretFile != "" {
		x.source.file, x.fileInfo = secretFile, info
	}
	return x.complete(c, `"kind"`, `"client_id"`, `"url" or "identity"`)
}

// complete refuses what cannot be paired before anybody types a secret.
func (x *pairing) complete(c *cobra.Command, kind, clientID, address string) error {
	switch {
	case x.Name == "":
		return misused(c, `"name" is missing`)
	case x.Kind == "":
		return misused(c, kind+" is missing: robot for a machine object, app for an external application")
	case x.ClientID == "" && x.ClientIDFrom == "":
		return misused(c, clientID+" is missing")
	case x.URL == "" && x.Identity == "":
		return misused(c, address+" is missing")
	}
	return x.checkPrintable(c)
}

func (p *program) pair(c *cobra.Command, x pairing) error {
	keepMemory()
	if x.fileInfo != nil {
		if err := p.release(x); err != nil {
			return err
		}
	}
	if x.Entry == "" || x.source != (secretSource{}) {
		secret, err := p.secret(c, x.source, x.Name+", to be sent to "+destinationsText(x.Pairing))
		if err != nil {
			return err
		}
		x.Secret = secret.Reveal()
	}
	result, err := p.sendPairing(c.Context(), x.Pairing)
	if endpoint := unconfirmed(err); endpoint != "" && p.confirm(fmt.Sprintf(
		"The secret would be sent to %s, on another origin than the Identity Server.", endpoint)) {
		x.TokenEndpoint = endpoint
		result, err = p.sendPairing(c.Context(), x.Pairing)
	}
	if err != nil {
		return doing("pair "+x.Name, err)
	}
	if p.json {
		return p.printJSON(result)
	}
	p.printPaired(result)
	return nil
}

func (p *program) sendPairing(ctx context.Context, x api.Pairing) (api.PairResult, error) {
	admin := p.admin()
	defer admin.Close()
	return admin.Pair(ctx, x, p.tellStep)
}

// unconfirmed is the token endpoint that a person must confirm before the
// secret is sent there, or "" if err is about something else.
func unconfirmed(err error) string {
	if refused, ok := errors.AsType[*api.Error](err); ok {
		return refused.TokenEndpoint
	}
	return ""
}

// confirm asks the person at the terminal, and takes nobody for no.
func (p *program) confirm(question string) bool {
	return !p.json && term.IsTerminal(int(p.in.Fd())) && p.ask(question)
}

// ask asks whether a secret may go where the question says.
func (p *program) ask(question string) bool {
	say(p.errs, "%s\nSend it there? [y/N] ", question)
	answer, err := readLine(p.in)
	return err == nil && (strings.EqualFold(answer, "y") || strings.EqualFold(answer, "yes"))
}

// readLine reads one line byte by byte, so that what follows it is left.
func readLine(f *os.File) (string, error) {
	var line []byte
	for b := make([]byte, 1); len(line) < 256; line = append(line, b[0]) {
		if _, err := f.Read(b); err != nil {
			return "", err
		}
		if b[0] == '\n' {
			break
		}
	}
	return strings.TrimSpace(string(line)), nil
}

func (p *program) printPaired(r api.PairResult) {
	name := r.Profile.Name
	if !r.Changed {
		say(p.out, "%s is paired with these values already: nothing changed\n", name)
		return
	}
	say(p.out, "%s is paired: try \"keytender token %s\"\n", name, name)
	for _, w := range r.Warnings {
		p.warn(w)
	}
	if r.Profile.Deprecated != "" {
		p.warn(r.Profile.Deprecated)
	}
}
