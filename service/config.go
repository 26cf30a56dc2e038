package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"keytender/agent"
	"keytender/agent/api"

	"github.com/spf13/cobra"
)

func (p *program) configCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "config",
		Short:   "Check config.yaml",
		Example: "  keytender config check",
	}, p.configCheckCommand())
}

func (p *program) configCheckCommand() *cobra.Command {
	var mode string
	c := &cobra.Command{
		Use:   "check",
		Short: "Say whether the agent would take config.yaml as it is",
		Long: `Read config.yaml as the agent would, without an agent, and say file, line and
column of what it would refuse.`,
		Example: "  keytender config check --config ./config.yaml",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := agent.ParseMode(mode)
			if err != nil {
				return misused(c, err.Error())
			}
			return p.configCheck(m)
		},
	}
	c.Flags().StringVar(&mode, "mode", string(agent.User), "`MODE`: user or machine")
	return c
}

func (p *program) configCheck(m agent.Mode) error {
	path := either(p.config, agent.ConfigPath(m))
	_, err := os.Stat(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if missing && p.config != "" {
		return doing("check the configuration", fmt.Errorf("there is no file %s", path))
	}
	config, err := agent.Load(path, m)
	if err != nil {
		return doing("check the configuration", err)
	}
	if p.json {
		return p.printJSON(map[string]any{"file": path, "exists": !missing, "profiles": len(config.Profiles), "stores": len(config.Stores)})
	}
	if missing {
		say(p.out, "%s does not exist: the agent runs with its defaults\n", path)
		return nil
	}
	say(p.out, "%s is good: %s, %s\n", path, count(len(config.Profiles), "profile"), count(len(config.Stores), "store"))
	return nil
}

func (p *program) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "reload",
		Short:   "Have the agent read config.yaml again",
		Long:    "Have the agent read config.yaml again. A file with an error changes nothing.",
		Example: "  keytender config check && keytender reload",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			admin := p.admin()
			defer admin.Close()
			done, err := admin.Reload(c.Context())
			if err != nil {
				return doing("reload the configuration", err)
			}
			if p.json {
				return p.printJSON(done)
			}
			p.printReloaded(done)
			return nil
		},
	}
}

func (p *program) printReloaded(done api.Reloaded) {
	say(p.out, "reloaded: %s, %s changed\n", count(done.Profiles, "profile"), either(strings.Join(done.Changed, ", "), "none"))
}
