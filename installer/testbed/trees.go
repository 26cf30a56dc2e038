package testbed

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
)

// Where the sources of the servers stand.
const (
	providers = "agent/internal/providertest/"
	vaults    = "vault/vaulttest/"
)

// All lists every tree.
func All() []Tree { return []Tree{OIDCProvider(), Glewlwyd(), Fosite(), HashiCorpVault()} }

// OIDCProvider is oidc-provider and the Node that runs it, both from npm's lock
// file: Debian 12's own Node is too old for it. The tree has node_modules.
func OIDCProvider() Tree {
	return Tree{
		Name:   "oidc-provider",
		What:   "oidc-provider and Node from npm's lock file, 190 MB",
		inputs: []string{providers + "npm/package.json", providers + "npm/package-lock.json", providers + "npm/.npmrc"},
		make: func(ctx context.Context, root, dir string) error {
			for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
				data, err := os.ReadFile(filepath.Join(root, providers, "npm", name))
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

// Fosite is the server in a module of its own in providertest, built. The tree has
// the program fosite.
func Fosite() Tree {
	return program("fosite", "ory/fosite as Go modules, compiled in about a minute, 16 MB", providers+"fosite")
}

// HashiCorpVault is the server in a module of its own in vaulttest, built. The tree
// has the program hashicorp.
func HashiCorpVault() Tree {
	folder := vaults + "hashicorp"
	return program("hashicorp", "HashiCorp Vault's core (Business Source License, for tests alone) as Go modules,\n"+
		"    compiled in two to three minutes, 65 MB; in Go's own caches 370 MB fetched, 1.6 GB of sources, 0.9 GB compiled",
		folder, folder+"/nodiscover/*.go", folder+"/nodiscover/provider/k8s/*.go")
}

// program is the module in folder, built, with what it has in other folders. The
// tree has one program of the tree's name.
func program(name, what, folder string, others ...string) Tree {
	return Tree{
		Name:   name,
		What:   what,
		inputs: append([]string{folder + "/go.mod", folder + "/go.sum", folder + "/*.go"}, others...),
		made:   runtime.Version(),
		make: func(ctx context.Context, root, dir string) error {
			return run(ctx, filepath.Join(root, folder), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, name), ".")
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
