package main

import (
	"keytender/agent/api"

	"github.com/spf13/cobra"
)

func (p *program) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor [NAME]",
		Short: "Try everything that a token depends on, and say what to do",
		Long: `Try the store, the clock, TLS, discovery, a token, a harmless call to
Orchestrator and the doors, for one profile or for all, and say of each what
was found and what to do. Ends with 1 if something does not work.`,
		Example:           "  keytender doctor invoices",
		Args:              atMostOne,
		ValidArgsFunction: p.completeProfiles,
		RunE: func(c *cobra.Command, args []string) error {
			admin := p.admin()
			defer admin.Close()
			found, err := admin.Doctor(c.Context(), first(args))
			if err != nil {
				return doing("see what works", err)
			}
			if p.json {
				err = p.printJSON(found)
			} else {
				p.printDoctor(found)
			}
			if err == nil && found.Worst() == api.CheckFail {
				err = exitStatus(api.ExitFailed)
			}
			return err
		},
	}
}

// printDoctor shows the checks of the agent itself, then those of each
// profile under its name.
func (p *program) printDoctor(d api.Doctor) {
	heading := ""
	for _, c := range d.Checks {
		if c.Profile != heading {
			heading = c.Profile
			say(p.out, "\n%s\n", heading)
		}
		say(p.out, "  %-4s  %-12s  %s\n", c.Result, c.Name, c.Found)
		if c.ToDo != "" {
			say(p.out, "  %-4s  %-12s  → %s\n", "", "", c.ToDo)
		}
	}
}
