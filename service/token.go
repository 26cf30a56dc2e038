package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"keytender/agent/api"

	"github.com/spf13/cobra"
)

func (p *program) tokenCommand() *cobra.Command {
	var want api.TokenRequest
	c := &cobra.Command{
		Use:   "token [NAME]",
		Short: "Print an access token",
		Long: `Print an access token of a profile, alone on standard output, or with --json
with its expiry, scope and fingerprint. Without NAME: the default profile, or
the only one.`,
		Example:           "  curl -H \"Authorization: Bearer $(keytender token invoices)\" https://…",
		Args:              atMostOne,
		ValidArgsFunction: p.completeProfiles,
		RunE: func(c *cobra.Command, args []string) error {
			want.Profile = first(args)
			return p.token(c.Context(), want)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&want.Scopes, "scope", nil, "ask for this `SCOPE` (repeat for more)")
	f.DurationVar(&want.MinValid, "min-valid", 0, "the token must be good for `D`, for example 10m")
	f.DurationVar(&want.Wait, "wait", 0, "wait `D` for a person where one is needed, at most 5m")
	return c
}

func (p *program) token(ctx context.Context, want api.TokenRequest) error {
	token, err := p.askToken(ctx, want)
	if err != nil {
		return err
	}
	if token.MinValidMet != nil && !*token.MinValidMet {
		p.warn(fmt.Sprintf("the token is good for %s only: Identity gives no longer ones", spanText(time.Duration(token.ExpiresIn)*time.Second)))
	}
	if p.json {
		return p.printJSON(token)
	}
	_, err = fmt.Fprintln(p.out, token.AccessToken)
	return doing("write the token", err)
}

// askToken asks the agent for a token, and where it was not clear of which
// profile, tells which there are.
func (p *program) askToken(ctx context.Context, want api.TokenRequest) (api.Token, error) {
	client := p.client()
	defer client.Close()
	token, err := client.Token(ctx, want)
	refused, ok := errors.AsType[*api.Error](err)
	if ok && refused.Code == api.InvalidRequest && want.Profile == "" {
		if list, _ := client.Profiles(ctx); len(list) > 0 {
			refused.Hint = "name one of " + strings.Join(names(list), ", ")
		}
	}
	return token, doing(strings.TrimSpace("get a token "+want.Profile), err)
}

func names(profiles []api.Profile) []string {
	list := make([]string, len(profiles))
	for i, p := range profiles {
		list[i] = p.Name
	}
	return list
}

// completeProfiles completes the first argument to a profile's name.
func (p *program) completeProfiles(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	ctx, cancel := context.WithTimeout(c.Context(), time.Second)
	defer cancel()
	client := p.client()
	defer client.Close()
	list, _ := client.Profiles(ctx)
	return names(list), cobra.ShellCompDirectiveNoFileComp
}
