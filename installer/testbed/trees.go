package testbed

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Where the sources of the servers stand.
const (
	providers = "agent/internal/providertest/"
	vaults    = "vault/vaulttest/"
)

// All lists every tree.
func All() []Tree {
	return []Tree{OIDCProvider(), Glewlwyd(), Fosite(), HashiCorpVault(), ConjurClient(), Debian()}
}

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

// ConjurClient is CyberArk's own Go client for Conjur in a module of its own in
// vaulttest, built. The tree has the program conjurclient.
func ConjurClient() Tree {
	const source = "vault/vaulttest/conjurclient/"
	return Tree{
		Name:   "conjurclient",
		What:   "CyberArk's Go client for Conjur as Go modules, 11 MB",
		inputs: []string{source + "go.mod", source + "go.sum", source + "main.go"},
		made:   runtime.Version(),
		make: func(ctx context.Context, root, dir string) error {
			return run(ctx, filepath.Join(root, source), "go", "build", "-trimpath", "-o", filepath.Join(dir, "conjurclient"), ".")
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

// debianScript makes the archive of Debian's tree from the archives that this
// machine's own packages come from. Only root can; the archive is anybody's.
const debianScript = `set -e
. /etc/os-release
apt-get indextargets --format 'deb $(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' "Origin: ${NAME%% *}" >sources.list
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo mmdebstrap --quiet --variant=minbase --include="$1" --dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	--customize-hook='rm "$1/etc/hostname" "$1/etc/resolv.conf"' \
	"$VERSION_CODENAME" root.tar sources.list
`

// Debian is a small Debian of this machine's version, with systemd, a bus and
// sessions of users, for package booted. The tree has root.tar, and root, an
// empty directory to mount on.
func Debian() Tree {
	packages := []string{"systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd"}
	return Tree{
		Name:   "debian",
		What:   "a small Debian with systemd, to be booted in a container, 150 MB",
		Apt:    true,
		inputs: []string{"/etc/os-release"},
		made:   strings.Join(packages, ",") + debianScript,
		make: func(ctx context.Context, _, dir string) error {
			if err := os.Mkdir(filepath.Join(dir, "root"), 0o755); err != nil {
				return err
			}
			return run(ctx, dir, "sh", "-c", debianScript, "sh", strings.Join(packages, ","))
		},
	}
}
