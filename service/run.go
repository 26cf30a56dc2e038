package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"keytender/agent"

	"github.com/spf13/cobra"
)

// runOptions is what "keytender run" was asked to do.
type runOptions struct {
	mode      string
	ephemeral bool
	debug     bool
}

func (p *program) runCommand() *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the agent until it is told to stop",
		Long: `Run the agent in the foreground; its log goes to standard error. SIGTERM or
Ctrl-C ends it once the requests in flight are answered, and SIGHUP has it read
config.yaml again. "keytender service install --user" runs it after each login.`,
		Example: "  keytender run",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			mode, err := agent.ParseMode(o.mode)
			if err != nil {
				return misused(c, err.Error())
			}
			if os.Geteuid() == 0 && !c.Flags().Changed("mode") {
				return misused(c, "root has no desktop to keep keys for: say --mode machine for the whole machine, or --mode user")
			}
			return p.run(c.Context(), mode, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.mode, "mode", string(agent.User), "`MODE`: user (this person's agent) or machine (the agent of the whole machine)")
	f.BoolVar(&o.ephemeral, "ephemeral", false, "keep secrets in memory only: they are gone when the agent ends")
	f.BoolVar(&o.debug, "debug", false, "log everything but secrets")
	return c
}

func (p *program) run(ctx context.Context, mode agent.Mode, o runOptions) error {
	keepMemoryFromCores()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(p.logHandler(o.debug))
	a, err := agent.Open(agent.Options{
		Mode:      mode,
		Config:    p.config,
		State:     p.state,
		Socket:    p.socket,
		Ephemeral: o.ephemeral,
		Version:   versionText(),
		Log:       log,
	})
	if err != nil {
		return doing("start the agent", err)
	}
	defer a.Close()

	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP) // before anybody hears that we are ready
	defer signal.Stop(hangup)
	var signals sync.WaitGroup
	defer signals.Wait()
	defer stop() // also when Serve ends by itself
	signals.Go(func() {
		reloadOn(ctx, hangup, a, log)
		stop() // a second signal ends the process at once
		notifyManager(log, managerStopping)
	})
	notifyManager(log, managerReady)
	return doing("serve", a.Serve(ctx))
}

// reloadOn has the agent read config.yaml again at each signal until ctx is
// done. The agent logs what came of it; a file with an error changes nothing.
func reloadOn(ctx context.Context, hangup <-chan os.Signal, a *agent.Agent, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		}
		notifyManager(log, managerReloading)
		if _, err := a.Reload(ctx); err != nil {
			log.Error("SIGHUP changed nothing", "error", err)
		}
		notifyManager(log, managerReady)
	}
}

// logHandler writes to standard error: text, or JSON with --json, and without
// the time where a journal adds its own.
func (p *program) logHandler(debug bool) slog.Handler {
	o := &slog.HandlerOptions{Level: slog.LevelInfo}
	if debug {
		o.Level = slog.LevelDebug
	}
	if os.Getenv("JOURNAL_STREAM") != "" {
		o.ReplaceAttr = withoutTime
	}
	return logFormat(p.errs, p.json, o)
}

func logFormat(w io.Writer, json bool, o *slog.HandlerOptions) slog.Handler {
	if json {
		return slog.NewJSONHandler(w, o)
	}
	return slog.NewTextHandler(w, o)
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
