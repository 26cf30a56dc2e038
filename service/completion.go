package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (p *program) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:       "completion bash|zsh|fish|powershell",
		Short:     "Print a script that completes commands, flags and profile names",
		Example:   "  source <(keytender completion bash)",
		ValidArgs: shells,
		Args:      exactly("the shell (bash, zsh, fish or powershell)"),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			switch root := c.Root(); args[0] {
			case "bash":
				err = root.GenBashCompletionV2(p.out, true)
			case "zsh":
				err = root.GenZshCompletion(p.out)
			case "fish":
				err = root.GenFishCompletion(p.out, true)
			case "powershell":
				err = root.GenPowerShellCompletionWithDesc(p.out)
			default:
				return misused(c, fmt.Sprintf("no completion for %q: bash, zsh, fish, powershell", args[0]))
			}
			return doing("write the completion", err)
		},
	}
}
