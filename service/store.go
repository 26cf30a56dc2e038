package main

import (
	"path/filepath"

	"keytender/agent"
	"keytender/vault"

	"github.com/spf13/cobra"
)

func (p *program) storeCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "store",
		Short:   "Prepare a store for secrets",
		Example: "  keytender store init sealed --key-file /etc/keytender/seal.key",
	}, group(&cobra.Command{
		Use:     "init",
		Short:   "Make what a store needs before its first use",
		Example: "  keytender store init sealed --key-file /etc/keytender/seal.key",
	}, p.storeInitSealedCommand()))
}

func (p *program) storeInitSealedCommand() *cobra.Command {
	var keyFile string
	c := &cobra.Command{
		Use:   "sealed",
		Short: "Make the key file of a sealed store",
		Long: `Make a key file, mode 0400, for the store sealed:. It guards backups of the
state, not this disk: who can read both files can read the secrets. A systemd
credential or the OS keyring guards better, where there is one.`,
		Example: "  keytender store init sealed --key-file /etc/keytender/seal.key",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if keyFile == "" {
				return misused(c, "--key-file is missing")
			}
			return p.storeInitSealed(keyFile)
		},
	}
	c.Flags().StringVar(&keyFile, "key-file", "", "make this `FILE`, which must not exist")
	return c
}

func (p *program) storeInitSealed(keyFile string) error {
	path, err := filepath.Abs(keyFile)
	if err != nil {
		return doing("make the key file", err)
	}
	if err := vault.InitSealed(path); err != nil {
		return doing("make the key file", err)
	}
	key, config := "file:"+path, p.config
	if config == "" {
		config = agent.ConfigPath(agent.User)
	}
	if p.json {
		return p.printJSON(map[string]string{"key": key})
	}
	say(p.out, `%s is made. Name it in config.yaml (%s):

version: 1
stores:
  default: {url: "sealed:", key: %q}

and run "keytender reload". Keep it out of the backups that hold the state: it guards those, not this disk.
`, path, config, key)
	return nil
}
