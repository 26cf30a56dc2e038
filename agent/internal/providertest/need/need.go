// Package need knows what the tests need beside Go and the Debian packages of
// setup/debian.txt: real servers that others wrote, each in a directory of its
// own below the user's cache directory, named by a hash of what it is made from.
//
//	setup ──Make──► ~/.cache/keytender-test/NAME-HASH ◄──Find── providertest
package need

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Tree is one directory of prepared things. It is found or made; it is never changed.
type Tree struct {
	Name string
	What string // for people, before it is installed
	Apt  bool   // comes from Debian's archive, so apt-get's lists must be fresh

	inputs []string // files whose content decides the hash, relative to source
	made   string   // what else decides it: a compiler's version, say
	make   func(ctx context.Context, source, dir string) error
}

// All lists every tree.
func All() []Tree { return []Tree{OIDCProvider(), Glewlwyd(), Fosite()} }

// OIDCProvider is oidc-provider and the Node that runs it, both from npm's lock
// file: Debian 12's own Node is too old for it. The tree has node_modules.
func OIDCProvider() Tree {
	return Tree{
		Name:   "oidc-provider",
		What:   "oidc-provider and Node from npm's lock file, 190 MB",
		inputs: []string{"npm/package.json", "npm/package-lock.json", "npm/.npmrc"},
		make: func(ctx context.Context, source, dir string) error {
			for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
				data, err := os.ReadFile(filepath.Join(source, "npm", name))
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
					return err
				}
			}
			return run(ctx, dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
		},
	}
}

// Fosite is the server in the module beside this package, built. The tree has
// the program fosite.
func Fosite() Tree {
	return Tree{
		Name:   "fosite",
		What:   "ory/fosite as Go modules, compiled in about a minute, 24 MB",
		inputs: []string{"fosite/go.mod", "fosite/go.sum", "fosite/main.go"},
		made:   runtime.Version(),
		make: func(ctx context.Context, source, dir string) error {
			return run(ctx, filepath.Join(source, "fosite"), "go", "build", "-trimpath", "-o", filepath.Join(dir, "fosite"), ".")
		},
	}
}

// Glewlwyd is Debian's glewlwyd with whatever libraries this machine lacks,
// unpacked and not installed: the package's own scripts would add a user, a log
// and a service that starts at each boot. The tree has usr/bin/glewlwyd.
func Glewlwyd() Tree {
	return Tree{
		Name:   "glewlwyd",
		What:   "Debian's glewlwyd, unpacked but not installed, 20 MB at most",
		Apt:    true,
		inputs: []string{"/etc/os-release"},
		make: func(ctx context.Context, _, dir string) error {
			archives := filepath.Join(dir, "archives")
			if err := os.MkdirAll(filepath.Join(archives, "partial"), 0o755); err != nil {
				return err
			}
			err := run(ctx, dir, "apt-get", "install", "--yes", "--download-only", "--reinstall", "--no-install-recommends",
				"-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=", "-o", "Dir::Cache::archives="+archives,
				"glewlwyd", "dbconfig-no-thanks")
			if err != nil {
				return err
			}
			packages, err := filepath.Glob(filepath.Join(archives, "*.deb"))
			if err != nil {
				return err
			}
			for _, deb := range packages {
				if err := run(ctx, dir, "dpkg-deb", "--extract", deb, dir); err != nil {
					return err
				}
			}
			return os.RemoveAll(archives)
		},
	}
}

// Find returns the tree's directory, or an error that says how to get it.
func (t Tree) Find() (string, error) {
	dir, err := t.dir()
	if err != nil {
		return "", fmt.Errorf("look for %s: %w", t.Name, err)
	}
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf(`%s is not prepared: run "make test": %w`, t.Name, err)
	}
	return dir, nil
}

// Make makes the tree where it is missing. What fails leaves nothing behind.
func (t Tree) Make(ctx context.Context) error {
	if _, err := t.Find(); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir, err := t.dir()
	if err != nil {
		return err
	}
	root, err := source()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(dir), "unfinished-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(unfinished)
	if err := t.make(ctx, root, unfinished); err != nil {
		return fmt.Errorf("prepare %s: %w", t.Name, err)
	}
	if err := os.Rename(unfinished, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func (t Tree) dir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	root, err := source()
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	fmt.Fprintln(hash, t.Name, runtime.GOARCH, t.made)
	for _, input := range t.inputs {
		if !filepath.IsAbs(input) {
			input = filepath.Join(root, input)
		}
		data, err := os.ReadFile(input)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(hash, len(data))
		hash.Write(data)
	}
	return filepath.Join(cache, "keytender-test", t.Name+"-"+hex.EncodeToString(hash.Sum(nil))[:16]), nil
}

// source is the folder of package providertest: tests run in their package's
// folder and set-up in the top one, all of them inside the module.
func source() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module keytender\n") {
			return filepath.Join(dir, "agent", "internal", "providertest"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("not inside the module keytender")
		}
	}
}

func run(ctx context.Context, dir, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = dir
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, said)
	}
	return nil
}
