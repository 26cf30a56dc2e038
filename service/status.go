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

func (p *program) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "status [NAME]",
		Short:             "Show the agent, its profiles and its stores",
		Example:           "  keytender status invoices",
		Args:              atMostOne,
		ValidArgsFunction: p.completeProfiles,
		RunE: func(c *cobra.Command, args []string) error {
			client := p.client()
			defer client.Close()
			status, err := client.Status(c.Context())
			switch {
			case err != nil:
				return doing("look at the status", err)
			case len(args) == 1:
				return p.profileStatus(status, args[0])
			case p.json:
				return p.printJSON(status)
			}
			p.printStatus(status, time.Now())
			return nil
		},
	}
}

func (p *program) printStatus(s api.Status, now time.Time) {
	say(p.out, "keytender %s is %s\n", s.Agent.Version, stateText(s.Agent.State))
	facts := table{
		{"mode", s.Agent.Mode},
		{"running", fmt.Sprintf("for %s, process %d", spanText(now.Sub(s.Agent.StartedAt)), s.Agent.PID)},
		{"socket", api.FindSocket(p.socket)},
		{"tcp", either(s.Agent.TCP, "off")},
	}
	for _, store := range s.Stores {
		facts.add("store "+store.Name, storeText(store, now))
	}
	if s.Agent.Audit != nil {
		facts.add("audit", s.Agent.Audit.Error())
	}
	facts.printFacts(p.out)
	say(p.out, "\n")
	p.printProfiles(s.Profiles, now)
}

func storeText(s api.StoreStatus, now time.Time) string {
	text := s.URL
	if s.State != "" {
		text += " " + s.State
	}
	if s.State != "" && s.State != api.StoreOK {
		text += " for " + spanText(now.Sub(s.Since))
	}
	if s.Error != nil {
		text += ": " + s.Error.Error()
	}
	return text
}

// profileStatus shows one profile of s.
func (p *program) profileStatus(s api.Status, name string) error {
	for _, one := range s.Profiles {
		if one.Name != name {
			continue
		}
		if p.json {
			return p.printJSON(one)
		}
		p.printProfile(one, time.Now())
		return nil
	}
	return doing("look at the status", &api.Error{
		Code:        api.NotPaired,
		Description: fmt.Sprintf("there is no profile %q that you may see", name),
		Hint:        `"keytender profiles" lists those that there are`,
		Profile:     name,
	})
}

func (p *program) printProfile(one api.Profile, now time.Time) {
	say(p.out, "%s is %s\n", one.Name, stateText(one.State))
	age := ""
	if one.SecretAgeDays != nil {
		age = ", changed " + daysText(*one.SecretAgeDays)
	}
	if one.SecretPrevious {
		age += "; the store's newest is refused, and the one before is in use"
	}
	facts := table{
		{"kind", one.Kind},
		{"url", one.URL},
		{"scopes", strings.Join(one.Scopes, " ")},
		{"secret", "in " + one.Store + age},
		{"token until", untilText(one.ExpiresAt, now)},
		{"renewed", untilText(one.RenewsAt, now)},
		{"person needed", untilText(one.PersonNeededAt, now)},
		{"deprecated", one.Deprecated},
	}
	if one.LastError != nil {
		facts.add("last error", one.LastError.Error())
	}
	facts.printFacts(p.out)
}

func (p *program) waitCommand() *cobra.Command {
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "wait",
		Short: "Wait until the agent can give tokens",
		Long: `Wait until the agent runs and can give tokens, for scripts that start with the
machine. When the time is over, the error says what was still missing.`,
		Example: "  keytender wait --timeout 2m && start-robots",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if timeout <= 0 {
				return misused(c, "--timeout must be above 0")
			}
			return p.wait(c.Context(), timeout)
		},
	}
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "wait at most `D`")
	return c
}

func (p *program) wait(ctx context.Context, timeout time.Duration) error {
	over := time.After(timeout)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := p.ready(ctx)
		if failed, ok := errors.AsType[*api.Error](err); !ok || failed.Code.Exit() == api.ExitRefused {
			return doing("wait for the agent", err) // done, or waiting will not help
		}
		select {
		case <-over:
			return doing("wait for the agent", err)
		case <-time.After(pause):
		}
	}
}

// ready asks once. The socket is looked for anew each time: which one it is
// can change while an agent starts.
func (p *program) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client := p.client()
	defer client.Close()
	return client.Ready(ctx)
}
