package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"keytender/agent/api"

	"github.com/spf13/cobra"
)

// serviceAction is one of the things that can be done with the user service.
type serviceAction struct {
	name, short, done string
	do                func(userService) error
}

func (p *program) serviceCommand() *cobra.Command {
	user := false
	c := group(&cobra.Command{
		Use:   "service",
		Short: "Run the agent as a service of this user after each login",
		Long: `Install, start and stop the agent as a service of this user. The service of a
whole machine comes with the deb, rpm and msi packages.`,
		Example: "  keytender service install --user && keytender service start --user",
	})
	c.PersistentFlags().BoolVar(&user, "user", false, "the service of this user")
	for _, a := range []serviceAction{
		{"install", "Have the agent run after each login", `installed: it starts at the next login, or now with "keytender service start --user"`, userService.install},
		{"uninstall", "Remove the service; profiles and secrets stay", "removed: profiles and secrets stay", userService.uninstall},
		{"start", "Start the agent now", "started", userService.start},
		{"stop", "Stop the agent until the next login", "stopped", userService.stop},
		{"restart", "Stop and start the agent", "restarted", userService.restart},
	} {
		c.AddCommand(p.serviceActionCommand(a, &user))
	}
	c.AddCommand(p.serviceStatusCommand(&user))
	return c
}

func (p *program) serviceActionCommand(a serviceAction, user *bool) *cobra.Command {
	return &cobra.Command{
		Use:     a.name,
		Short:   a.short,
		Example: fmt.Sprintf("  keytender service %s --user", a.name),
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := p.userService(c, *user)
			if err != nil {
				return err
			}
			if err := a.do(s); err != nil {
				return doing(a.name+" the service", err)
			}
			if p.json {
				return p.printJSON(map[string]bool{"changed": true})
			}
			say(p.out, "the service is %s\n", a.done)
			return nil
		},
	}
}

func (p *program) serviceStatusCommand(user *bool) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Say whether the service runs",
		Long:    "Say whether the service runs. Ends with 6 if it does not.",
		Example: "  keytender service status --user",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := p.userService(c, *user)
			if err != nil {
				return err
			}
			state, err := s.state()
			if err != nil {
				return doing("look at the service", err)
			}
			if p.json {
				err = p.printJSON(map[string]string{"state": state})
			} else {
				say(p.out, "the service is %s\n", state)
			}
			if err == nil && state != serviceRunning {
				err = exitStatus(api.ExitUnavailable)
			}
			return err
		},
	}
}

// userService is the service that c is about, with the arguments that its
// agent is to run with.
func (p *program) userService(c *cobra.Command, user bool) (userService, error) {
	if !user {
		return userService{}, misused(c, "say --user: the service of a whole machine comes with the deb, rpm and msi packages")
	}
	flags, err := p.givenFlags()
	if err != nil {
		return userService{}, err
	}
	s, err := newUserService(flags)
	return s, doing(strings.TrimPrefix(c.CommandPath(), "keytender "), err)
}

// givenFlags are those of the global flags that name a file, so that the
// service uses the same configuration, state and socket as this command.
func (p *program) givenFlags() ([]string, error) {
	var flags []string
	for _, flag := range [][2]string{{"--config", p.config}, {"--state", p.state}, {"--socket", p.socket}} {
		if flag[1] == "" {
			continue
		}
		path, err := filepath.Abs(flag[1])
		if err != nil {
			return nil, doing("find "+flag[0], err)
		}
		flags = append(flags, flag[0], path)
	}
	return flags, nil
}
