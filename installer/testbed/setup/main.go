// Command setup gets what the tests need: it says first what it will install,
// asks where somebody sits at a terminal, and does nothing when all is there.
package main

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"keytender/installer/testbed"
)

//go:embed debian.txt
var debian string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := setup(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "make test: set up:", err)
		os.Exit(1)
	}
}

func setup(ctx context.Context) error {
	packages := missingPackages()
	trees, err := missingTrees()
	if err != nil || len(packages)+len(trees) == 0 {
		return err
	}
	if err := agree(packages, trees); err != nil {
		return err
	}
	fromDebian := func(t testbed.Tree) bool { return t.Apt }
	if len(packages) > 0 || slices.ContainsFunc(trees, fromDebian) {
		fmt.Println("installing Debian packages …")
		if err := install(ctx, packages); err != nil {
			return err
		}
		if still := missingPackages(); len(still) > 0 {
			return fmt.Errorf("the Debian package %s is installed, but what it should bring is not there", still[0].name)
		}
	}
	for _, tree := range trees {
		fmt.Printf("preparing %s …\n", tree.Name)
		if err := tree.Make(ctx); err != nil {
			return err
		}
	}
	return nil
}

type debianPackage struct{ name, why string }

func missingPackages() (missing []debianPackage) {
	for line := range strings.Lines(debian) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] == "#" {
			continue
		}
		if name, proof := fields[0], fields[1]; !present(proof) {
			missing = append(missing, debianPackage{name, strings.Join(fields[2:], " ")})
		}
	}
	return missing
}

func present(proof string) bool {
	if filepath.IsAbs(proof) {
		_, err := os.Stat(proof)
		return err == nil
	}
	_, err := exec.LookPath(proof)
	return err == nil
}

func missingTrees() (missing []testbed.Tree, err error) {
	for _, tree := range testbed.All() {
		_, err := tree.Find()
		switch {
		case errors.Is(err, os.ErrNotExist):
			missing = append(missing, tree)
		case err != nil:
			return nil, err
		}
	}
	return missing, nil
}

func agree(packages []debianPackage, trees []testbed.Tree) error {
	fmt.Println("The tests need what is not on this machine yet. This will be installed:")
	for _, p := range packages {
		fmt.Printf("  Debian package %-17s %s\n", p.name, p.why)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	for _, tree := range trees {
		fmt.Printf("  in %s: %s\n", filepath.Join(cache, "keytender-test"), tree.What)
	}
	if !onTerminal() {
		return nil
	}
	fmt.Print("Go on? [Y/n] ")
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); err != nil || answer != "" && answer != "y" && answer != "yes" {
		return errors.New("nothing was installed")
	}
	return nil
}

func onTerminal() bool {
	stdin, err := os.Stdin.Stat()
	if err != nil || stdin.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err == nil && !os.SameFile(stdin, null)
}

// aptScript brings the lists of packages up to date and installs its arguments. While it runs, Debian's policy-rc.d keeps
// every package from starting a service; an administrator's own policy stays.
const aptScript = `set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update
[ $# -eq 0 ] || apt-get install --yes --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
`

func install(ctx context.Context, packages []debianPackage) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("install what is listed above: %w: only Debian and Ubuntu are known here", err)
	}
	args := []string{"sh", "-c", aptScript, "apt"}
	if os.Geteuid() != 0 {
		args = append([]string{"sudo"}, args...)
	}
	for _, p := range packages {
		args = append(args, p.name)
	}
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	// apt-get is asked to stop, not killed: half-installed packages are nobody's wish.
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("install Debian packages: %w\n%s", err, said)
	}
	return nil
}
