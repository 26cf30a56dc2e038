package main

import (
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  keytender version --json",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			platform := runtime.GOOS + "/" + runtime.GOARCH
			if p.json {
				return p.printJSON(map[string]string{"version": versionText(), "commit": commit(), "go": runtime.Version(), "platform": platform})
			}
			say(p.out, "keytender %s (%s)\n", versionText(), strings.Join([]string{either(commit(), "no commit"), runtime.Version(), platform}, ", "))
			return nil
		},
	}
}

// versionText is what the linker was told, else what Go knows of the module.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return strings.TrimPrefix(info.Main.Version, "v")
	}
	return "devel"
}

// commit is the commit this program was built from, "" if it is not known.
func commit() string {
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return ""
	}
	found := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			found = s.Value[:min(12, len(s.Value))] + found
		case s.Key == "vcs.modified" && s.Value == "true":
			found += "+"
		}
	}
	return found
}
