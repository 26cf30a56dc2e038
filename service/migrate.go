package main

import (
	"keytender/agent/api"

	"github.com/spf13/cobra"
)

func (p *program) migrateCommand() *cobra.Command {
	var m api.Migration
	c := &cobra.Command{
		Use:   "migrate NAME --store STORE",
		Short: "Move the secret of a profile to another store",
		Long: `Move the secret of a paired profile to another store that config.yaml names:
written there, read back and compared, switched to, and only then removed from
where it was. Cut off at any point, nothing is lost: run it again.

An entry of a vault that was there before Keytender is left, and told.`,
		Example:           "  keytender migrate invoices --store corp",
		Args:              exactly("NAME"),
		ValidArgsFunction: p.completeProfiles,
		RunE: func(c *cobra.Command, args []string) error {
			if m.Store == "" {
				return misused(c, "--store is missing: a name of config.yaml")
			}
			admin := p.admin()
			defer admin.Close()
			moved, err := admin.Migrate(c.Context(), args[0], m, p.tellStep)
			if err != nil {
				return doing("migrate "+args[0], err)
			}
			if p.json {
				return p.printJSON(moved)
			}
			if !moved.Changed {
				say(p.out, "the secret of %s rests in %s already: nothing changed\n", args[0], m.Store)
			}
			for _, left := range moved.Left {
				p.warn("still there: " + left)
			}
			return nil
		},
	}
	c.Flags().StringVar(&m.Store, "store", "", "`STORE` that config.yaml names")
	c.Flags().StringVar(&m.Entry, "entry", "", "`NAME` of the entry in a shared vault (the profile's name)")
	return c
}

// tellStep prints a step that is done.
func (p *program) tellStep(s api.Step) {
	if !p.json {
		say(p.out, "  %d/%d  %s\n", s.Number, s.Of, s.Text)
	}
}
