package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"keytender/agent"
	"keytender/agent/api"
	"keytender/agent/orchestratortest"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func (p *program) demoCommand() *cobra.Command {
	once := false
	c := &cobra.Command{
		Use:   "demo",
		Short: "Watch the whole path work, with a simulated Orchestrator",
		Long: `Start a simulated Orchestrator and an agent of its own, pair a robot, and have
a local automation get a token and call Orchestrator with it. Then both stay up
with things to try, until Ctrl-C. Nothing of it is left afterwards.`,
		Example: "  keytender demo --once",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return doing("demo", p.demo(ctx, once))
		},
	}
	c.Flags().BoolVar(&once, "once", false, "end after the seven steps")
	return c
}

// demo is one demonstration: an Orchestrator, an agent, and a state of their
// own that goes when it ends.
func (p *program) demo(ctx context.Context, once bool) (err error) {
	dir, err := os.MkdirTemp("", "keytender-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server := orchestratortest.New(orchestratortest.Options{})
	defer server.Close()
	a, err := agent.Open(agent.Options{
		Mode:      agent.User,
		Config:    filepath.Join(dir, "config.yaml"), // not there: the defaults
		State:     filepath.Join(dir, "state"),
		Socket:    filepath.Join(dir, "run", "keytender.sock"),
		Ephemeral: true,
		Version:   versionText(),
		Log:       slog.New(slog.NewTextHandler(p.errs, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return err
	}
	defer a.Close()

	serving, finish := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- a.Serve(serving) }()
	err = p.showDemo(ctx, server, a)
	if err == nil && !once {
		p.showDemoCommands(a)
		<-ctx.Done()
		say(p.out, "\n")
	}
	finish()
	if ended := <-served; err == nil {
		err = ended
	}
	return err
}

// showDemoCommands names what can be tried in another terminal meanwhile.
func (p *program) showDemoCommands(a *agent.Agent) {
	self := selfName()
	ink := p.ink()
	say(p.out, "\n%s\n\n", ink.bold("Both stay up until Ctrl-C. Try, in another terminal:"))
	commands := []string{
		"export " + "KEYTENDER_SOCKET=" + a.Socket(),
		self + " status",
		self + " token " + demoProfile,
		self + " doctor " + demoProfile,
		self + " audit",
		self + " exec " + demoProfile + " -- sh -c 'echo $KEYTENDER_URL $UIPATH_URL'",
	}
	if a.TCP() != "" {
		commands = append(commands, fmt.Sprintf("curl -s -H 'Keytender: 1' 'http://%s/v1/token?profile=%s'", a.TCP(), demoProfile))
	}
	for _, c := range commands {
		say(p.out, "  %s\n", c)
	}
}

// selfName is how a person calls this program: its name if the shell finds
// it, else its path.
func selfName() string {
	path, err := os.Executable()
	if err != nil {
		return "keytender"
	}
	name := filepath.Base(path)
	if found, err := exec.LookPath(name); err == nil && found == path {
		return name
	}
	if here, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(here, path); err == nil && !strings.HasPrefix(rel, "..") {
			return "./" + rel
		}
	}
	return path
}

// ink is how a terminal shows emphasis; elsewhere it shows none.
type ink struct{ on bool }

func (p *program) ink() ink {
	f, isFile := p.out.(*os.File)
	return ink{isFile && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// styled is a text with a terminal's own signs around it, and none in it.
type styled string

func (i ink) bold(s string) styled { return i.with("1", s) }
func (i ink) dim(s string) styled  { return i.with("2", s) }

func (i ink) with(code, s string) styled {
	s = visible(s)
	if i.on {
		s = "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	return styled(s)
}

// glimpse is what may be shown of a token.
func glimpse(t api.Token) string {
	return t.AccessToken[:min(8, len(t.AccessToken)/4)] + "…"
}
