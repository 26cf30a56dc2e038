package main

import (
	"context"

	"keytender/agent/api"

	"github.com/spf13/cobra"
)

func (p *program) secretCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "secret",
		Short:   "Change the secret of a profile or of a store",
		Example: "  keytender secret set invoices",
	}, p.secretSetCommand())
}

func (p *program) secretSetCommand() *cobra.Command {
	var source secretSource
	c := &cobra.Command{
		Use:   "set NAME | store/NAME",
		Short: "Replace the secret of a profile, or the credential of a store",
		Long: `Replace the secret of a profile, or give a declared profile its first. The
secret is proven with a token before it is stored: one that is refused changes
nothing. It is sent to the Identity Server that the profile was paired or
declared with.

With store/NAME it is the credential by which the agent logs in to a vault of
config.yaml: an AppRole's secret id, a password, an API key, the PEM file of a
private key. It is proven by a login, rests in the default store, and is sent
to that vault alone. A response-wrapped secret id is unwrapped here, once:
  keytender secret set store/corp --secret-file secret-id`,
		Example:           "  keytender secret set invoices --secret-file - < new.secret",
		Args:              exactly("NAME"),
		ValidArgsFunction: p.completeProfiles,
		RunE: func(c *cobra.Command, args []string) error {
			keepMemory()
			secret, err := p.secret(c, source, args[0])
			if err != nil {
				return err
			}
			return p.change(c.Context(), "set the secret of "+args[0], args[0]+": proven and stored", func(ctx context.Context, a *api.Admin) error {
				return a.SetSecret(ctx, args[0], secret.Reveal())
			})
		},
	}
	source.flags(c)
	return c
}
