package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	keepMemory()
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
	if err == nil && !isToken(token.AccessToken) {
		err = &api.Error{Code: api.ProviderBroken, Description: "the token holds what no token can", Hint: "it is not shown; see what Identity Server that is"}
	}
	return token, doing(strings.TrimSpace("get a token "+want.Profile), err)
}

// isToken tells whether s can be an access token (RFC 6749 appendix A.12). What
// cannot be would be obeyed by a terminal or end a header.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
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
	known := slices.DeleteFunc(names(list), func(name string) bool { return !isName(name) }) // a shell reads them
	return known, cobra.ShellCompDirectiveNoFileComp
}
