package main

import (
	"context"
	"time"

	"keytender/agent/api"

	"github.com/spf13/cobra"
)

func (p *program) profilesCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "profiles",
		Short:   "List the profiles that you may use",
		Example: "  keytender profiles --json",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			client := p.client()
			defer client.Close()
			list, err := client.Profiles(c.Context())
			if err != nil {
				return doing("list the profiles", err)
			}
			if p.json {
				return p.printJSON(map[string]any{"profiles": list})
			}
			p.printProfiles(list, time.Now())
			return nil
		},
	}
}

func (p *program) printProfiles(list []api.Profile, now time.Time) {
	if len(list) == 0 {
		say(p.out, "no profiles: pair one with \"keytender pair\"\n")
		return
	}
	starred := false
	rows := table{{"NAME", "KIND", "STATE", "TOKEN UNTIL", "STORE", "FROM"}}
	for _, one := range list {
		name, from := one.Name, one.Source
		if one.Default && len(list) > 1 {
			name, starred = name+" *", true
		}
		if from == api.SourceDeclared {
			from = "config.yaml"
		}
		rows.add(name, one.Kind, stateText(one.State), untilText(one.ExpiresAt, now), one.Store, from)
	}
	rows.print(p.out, "")
	if starred {
		say(p.out, "* is meant where no name is given\n")
	}
	for _, one := range list {
		if one.LastError != nil {
			say(p.out, "%s: %s\n", one.Name, one.LastError)
		}
		if one.Deprecated != "" {
			say(p.out, "%s: %s\n", one.Name, one.Deprecated)
		}
	}
}

func (p *program) unpairCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "unpair NAME",
		Short:             "Forget a paired profile, its tokens and its secret",
		Example:           "  keytender unpair invoices",
		Args:              exactly("NAME"),
		ValidArgsFunction: p.completeProfiles,
		RunE: func(c *cobra.Command, args []string) error {
			return p.change(c.Context(), "unpair "+args[0], args[0]+" is forgotten: its tokens, and its secret in the store", func(ctx context.Context, a *api.Admin) error {
				return a.Unpair(ctx, args[0])
			})
		},
	}
}

func (p *program) retryCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "retry NAME",
		Short: "Have a profile's next request ask Identity again",
		Long: `Forget the errors that the agent remembers of a profile, after you mended what
caused them: a secret, a scope, a server.`,
		Example:           "  keytender retry invoices",
		Args:              exactly("NAME"),
		ValidArgsFunction: p.completeProfiles,
		RunE: func(c *cobra.Command, args []string) error {
			return p.change(c.Context(), "retry "+args[0], args[0]+": the next request asks Identity again", func(ctx context.Context, a *api.Admin) error {
				return a.Retry(ctx, args[0])
			})
		},
	}
}

// change has the admin door do something and says that it is done.
func (p *program) change(ctx context.Context, what, done string, do func(context.Context, *api.Admin) error) error {
	admin := p.admin()
	defer admin.Close()
	if err := do(ctx, admin); err != nil {
		return doing(what, err)
	}
	if p.json {
		return p.printJSON(map[string]bool{"changed": true})
	}
	say(p.out, "%s\n", done)
	return nil
}
