package main

import (
	"keytender/agent/api"

	"github.com/spf13/cobra"
)

func (p *program) rotateCommand() *cobra.Command {
	var r api.Rotation
	c := &cobra.Command{
		Use:   "rotate NAME --with PROFILE",
		Short: "Give a profile a new secret",
		Long: `Give a machine object or an external application a new secret for the same
client id: made at Orchestrator with a token of PROFILE, stored, proven with a
token, switched to, and only then is the old one deleted. Automations keep
getting tokens all the while.

PROFILE needs the scope OR.Machines to rotate a robot, PM.OAuthApp to rotate an
app. Cut off at any point, the same command goes on where it stopped. Other
machines that use the same client id need the new secret too: with --keep-old
the old one stays valid until you delete it.`,
		Example:           "  keytender rotate invoices --with operator",
		Args:              exactly("NAME"),
		ValidArgsFunction: p.completeProfiles,
		RunE: func(c *cobra.Command, args []string) error {
			if r.With == "" {
				return misused(c, "--with is missing: the profile whose token may administer the secrets")
			}
			if r.Old != "" && r.KeepOld {
				return misused(c, "--old and --keep-old exclude each other")
			}
			admin := p.admin()
			defer admin.Close()
			rotated, err := admin.Rotate(c.Context(), args[0], r, p.tellStep)
			if err != nil {
				return doing("rotate "+args[0], err)
			}
			if p.json {
				return p.printJSON(rotated)
			}
			for _, w := range rotated.Warnings {
				p.warn(w)
			}
			return nil
		},
	}
	c.Flags().StringVar(&r.With, "with", "", "`PROFILE` whose token may administer the secrets")
	c.Flags().StringVar(&r.Old, "old", "", "`ID` of the secret in use, where several are valid")
	c.Flags().BoolVar(&r.KeepOld, "keep-old", false, "leave the old secret valid")
	return c
}
