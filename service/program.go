package main

import (
	"context"
	"io"
	"os"

	"keytender/agent/api"

	"github.com/spf13/cobra"
)

// program is one run of the command line: where it reads and writes, and what
// the global flags said. Every command is a method that makes its
// *cobra.Command; tree puts them together.
type program struct {
	in   *os.File
	out  io.Writer
	errs io.Writer

	config string // --config
	state  string // --state
	socket string // --socket
	json   bool   // --json
}

// execute runs the command that args name and returns its exit status. An
// error is told on standard error before it returns.
func (p *program) execute(ctx context.Context, args []string) int {
	root := p.tree()
	root.SetArgs(args)
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.errs)
	return p.report(root.ExecuteContext(ctx))
}

// tree is the whole command line.
func (p *program) tree() *cobra.Command {
	root := group(&cobra.Command{
		Use:   "keytender",
		Short: "Give local automations tokens without showing them the secret",
		Long: `Keytender keeps the credentials of this machine and gives local automations
short-lived access tokens, so that no robot ever holds a secret.`,
		Example:           "  keytender demo",
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	})
	root.SetHelpCommand(helpCommand())
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return misused(c, err.Error())
	})
	p.globals(root)
	const (
		agent    = "agent"
		profiles = "profiles"
		use      = "use"
	)
	root.AddGroup(
		&cobra.Group{ID: use, Title: "Use"},
		&cobra.Group{ID: profiles, Title: "Profiles"},
		&cobra.Group{ID: agent, Title: "Agent"},
	)
	root.SetHelpCommandGroupID(agent)
	add(root, use, p.demoCommand(), p.tokenCommand(), p.execCommand(), p.statusCommand(), p.doctorCommand())
	add(root, profiles, p.pairCommand(), p.unpairCommand(), p.profilesCommand(), p.secretCommand(), p.rotateCommand(), p.migrateCommand(), p.retryCommand())
	add(root, agent, p.runCommand(), p.serviceCommand(), p.waitCommand(), p.reloadCommand(), p.configCommand(),
		p.storeCommand(), p.auditCommand(), p.completionCommand(), p.versionCommand())
	return root
}

func (p *program) globals(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&p.config, "config", os.Getenv("KEYTENDER_CONFIG"), "the agent's `FILE` config.yaml ($KEYTENDER_CONFIG)")
	f.StringVar(&p.state, "state", os.Getenv("KEYTENDER_STATE"), "the agent's state `DIR`ectory ($KEYTENDER_STATE)")
	f.StringVar(&p.socket, "socket", os.Getenv("KEYTENDER_SOCKET"), "the agent's workload socket `PATH` ($KEYTENDER_SOCKET)")
	f.BoolVar(&p.json, "json", false, "answer and fail in JSON")
	for _, name := range []string{"config", "state", "socket"} {
		f.Lookup(name).DefValue = "" // help is the same whatever the environment
	}
}

// client is for the workload door.
func (p *program) client() *api.Client { return &api.Client{Socket: p.socket} }

// admin is for the admin door of the same agent.
func (p *program) admin() *api.Admin {
	return &api.Admin{Socket: api.AdminSocketFor(api.FindSocket(p.socket))}
}

func add(parent *cobra.Command, group string, children ...*cobra.Command) {
	for _, c := range children {
		c.GroupID = group
		parent.AddCommand(c)
	}
}

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Explain a command",
		Example: "  keytender help pair",
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(c.Root(), args[0])
			}
			return about.Help()
		},
	}
}

// group makes c a command that only has subcommands: alone it shows its
// help, and with a word that none of them has it is used wrongly.
func group(c *cobra.Command, children ...*cobra.Command) *cobra.Command {
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return unknownCommand(c, args[0])
	}
	c.AddCommand(children...)
	return c
}
