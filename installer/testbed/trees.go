package testbed

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// providers is where the sources of the Identity Servers stand.
const providers = "agent/internal/providertest/"

// All lists every tree.
func All() []Tree { return []Tree{OIDCProvider(), Glewlwyd(), Fosite(), Debian()} }

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
	return Tree{
		Name:   "fosite",
		What:   "ory/fosite as Go modules, compiled in about a minute, 24 MB",
		inputs: []string{providers + "fosite/go.mod", providers + "fosite/go.sum", providers + "fosite/main.go"},
		made:   runtime.Version(),
		make: func(ctx context.Context, root, dir string) error {
			return run(ctx, filepath.Join(root, providers, "fosite"), "go", "build", "-trimpath", "-o", filepath.Join(dir, "fosite"), ".")
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
