package main

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"keytender/agent/api"

	"github.com/spf13/cobra"
)

// execution is what "keytender exec" was asked to do.
type execution struct {
	want     api.TokenRequest
	envToken bool
	remove   []string // variables that COMMAND does not get
	command  []string
}

func (p *program) execCommand() *cobra.Command {
	var x execution
	c := &cobra.Command{
		Use:                   "exec [NAME] [flags] -- COMMAND...",
		DisableFlagsInUseLine: true,
		Short:                 "Run a program that finds the agent and Orchestrator in its environment",
		Long: `Run COMMAND with KEYTENDER_SOCKET and KEYTENDER_URL set to the agent's doors,
UIPATH_URL and the tenant's and folder's names to the profile's, and the
loopback addresses added to NO_PROXY. A token is asked for first, so that a
profile that cannot serve fails here; COMMAND sees it only with --env-token.

COMMAND takes the place of keytender: signals reach it and its exit status is
what the caller sees.`,
		Example: "  keytender exec invoices -- python3 invoices.py",
		RunE: func(c *cobra.Command, args []string) error {
			if err := x.parse(c, args); err != nil {
				return err
			}
			return p.exec(c.Context(), x)
		},
		ValidArgsFunction: p.completeProfiles,
	}
	f := c.Flags()
	f.StringArrayVar(&x.want.Scopes, "scope", nil, "ask for this `SCOPE` (repeat for more)")
	f.BoolVar(&x.envToken, "env-token", false, "set UIPATH_ACCESS_TOKEN, for programs that know nothing else")
	f.StringArrayVar(&x.remove, "secret-env", nil, "take this `VARIABLE`, which holds a secret, from COMMAND's environment")
	return c
}

func (x *execution) parse(c *cobra.Command, args []string) error {
	dash := c.ArgsLenAtDash()
	switch {
	case dash < 0 || dash == len(args):
		return misused(c, "COMMAND is missing: it stands after --")
	case dash > 1:
		return misused(c, "more than one NAME before --")
	case dash == 1:
		x.want.Profile = args[0]
	}
	x.command = args[dash:]
	return nil
}

func (p *program) exec(ctx context.Context, x execution) error {
	keepMemory() // until COMMAND takes the place of this program
	path, err := exec.LookPath(x.command[0])
	if err != nil {
		return doing("exec", &api.Error{Code: api.InvalidRequest, Description: "there is no program " + x.command[0], Hint: "look for a typing error, or give its path"})
	}
	token, err := p.askToken(ctx, x.want)
	if err != nil {
		return err
	}
	add, err := p.doors(ctx, token.Profile)
	if err != nil {
		return err
	}
	remove := append([]string{"UIPATH_ACCESS_TOKEN"}, x.remove...)
	if x.envToken {
		add["UIPATH_ACCESS_TOKEN"] = token.AccessToken
		p.warn("UIPATH_ACCESS_TOKEN is not renewed, and other processes of this user can read it: prefer KEYTENDER_URL")
	}
	return doing("exec "+x.command[0], replaceProcess(path, x.command, environment(os.Environ(), add, remove)))
}

// addresses are the variables by which automations find their Orchestrator.
// An agent sets no others: LD_PRELOAD or BASH_ENV would have COMMAND run its
// code.
func addresses() []string {
	return []string{"UIPATH_URL", "UIPATH_TENANT_NAME", "UIPATH_FOLDER_PATH"}
}

// doors are the variables that lead to the agent and to the profile's
// Orchestrator.
func (p *program) doors(ctx context.Context, profile string) (map[string]string, error) {
	client := p.client()
	defer client.Close()
	status, err := client.Status(ctx)
	if err != nil {
		return nil, doing("look at the doors", err)
	}
	socket, err := filepath.Abs(api.FindSocket(p.socket))
	if err != nil {
		return nil, doing("look at the doors", err)
	}
	vars := map[string]string{"KEYTENDER_SOCKET": socket, "KEYTENDER_URL": ""}
	if status.Agent.TCP != "" {
		vars["KEYTENDER_URL"] = "http://" + status.Agent.TCP
	}
	for _, one := range status.Profiles {
		if one.Name != profile {
			continue
		}
		for _, name := range addresses() {
			if value := one.Environment[name]; value != "" {
				vars[name] = value
			}
		}
	}
	return vars, nil
}

// environment is base without the variables in remove, with those in add (an
// empty value takes one away) and with the loopback addresses in NO_PROXY and
// no_proxy: curl and Python send even requests for 127.0.0.1 to a proxy.
func environment(base []string, add map[string]string, remove []string) []string {
	vars := make(map[string]string, len(base)+len(add))
	for _, v := range base {
		if name, value, ok := strings.Cut(v, "="); ok && !slices.Contains(remove, name) {
			vars[name] = value
		}
	}
	upper, lower := vars["NO_PROXY"], vars["no_proxy"]
	vars["NO_PROXY"] = withLoopback(either(upper, lower))
	vars["no_proxy"] = withLoopback(either(lower, upper))
	for name, value := range add {
		if vars[name] = value; value == "" {
			delete(vars, name)
		}
	}
	list := make([]string, 0, len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		list = append(list, name+"="+vars[name])
	}
	return list
}

func either(first, second string) string {
	if first != "" {
		return first
	}
	return second
}

// withLoopback adds the loopback hosts to a NO_PROXY list that lacks them.
func withLoopback(list string) string {
	var hosts []string
	for host := range strings.SplitSeq(list, ",") {
		if host = strings.TrimSpace(host); host != "" {
			hosts = append(hosts, host)
		}
	}
	if slices.Contains(hosts, "*") {
		return list
	}
	for _, host := range []string{"127.0.0.1", "localhost", "::1"} {
		if !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return strings.Join(hosts, ",")
}
