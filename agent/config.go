package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"keytender/vault"
)

// configLimit bounds the size of config.yaml.
const configLimit = 1 << 20

// Config is config.yaml: what people declare. The agent never writes it.
// API.md and docs/administrators.md explain every key.
type Config struct {
	Version        int                      `yaml:"version"`
	Listen         ListenConfig             `yaml:"listen"`
	DefaultProfile string                   `yaml:"default_profile"`
	CA             []string                 `yaml:"ca"`     // PEM files trusted besides the system's
	Stores         map[string]vault.Config  `yaml:"stores"` // the one called "default" serves the profiles that name none
	Profiles       map[string]ProfileConfig `yaml:"profiles"`
	Audit          AuditConfig              `yaml:"audit"`
}

// ListenConfig says where the TCP door listens: a loopback address with
// port, or "off".
type ListenConfig struct {
	TCP string `yaml:"tcp"`
}

// ProfileConfig is a declared profile.
type ProfileConfig struct {
	Kind          string      `yaml:"kind"`
	URL           string      `yaml:"url"`
	Edition       string      `yaml:"edition"`
	ClientID      string      `yaml:"client_id"`
	ClientIDFrom  string      `yaml:"client_id_from"` // "entry": the user name that rests with the secret
	Identity      string      `yaml:"identity"`
	TokenEndpoint string      `yaml:"token_endpoint"`
	Scopes        []string    `yaml:"scopes"`
	Audience      string      `yaml:"audience"`
	TokenLifetime string      `yaml:"token_lifetime"`
	Tenant        string      `yaml:"tenant"`
	Folder        string      `yaml:"folder"`
	Secret        string      `yaml:"secret"` // STORE/ENTRY; empty: the default store
	AuthConfig    *AuthConfig `yaml:"auth_config"`
}

// AuthConfig tells where in an Orchestrator's own answer its Identity Server
// and its grants stand (JSON pointers, RFC 6901). Unverified: the shape of
// that answer is not public, so nothing is asked unless this is set.
type AuthConfig struct {
	Path            string `yaml:"path" json:"path"`
	IdentityPointer string `yaml:"identity_pointer" json:"identity_pointer"`
	GrantsPointer   string `yaml:"grants_pointer" json:"grants_pointer"`
}

// AuditConfig bounds the audit files: "64MiB", "90d".
type AuditConfig struct {
	MaxSize string `yaml:"max_size"`
	Keep    string `yaml:"keep"`
}

// Load reads and checks the config.yaml of a mode. A file that is not there
// is an empty configuration. Every error names file, line and column.
// In machine mode the file must belong to root and be writable by nobody
// else.
func Load(path string, m Mode) (Config, error) {
	var c Config
	content, err := readConfig(path, m)
	if err != nil {
		return c, err
	}
	file, err := parser.ParseBytes(content, 0)
	if err != nil {
		return c, configError(path, err)
	}
	if err := yaml.UnmarshalWithOptions(content, &c, yaml.DisallowUnknownField()); err != nil {
		return c, configError(path, err)
	}
	if wrong := c.check(len(content) == 0); wrong != nil {
		return c, wrong.at(path, file)
	}
	if m == Machine {
		for _, file := range c.files() {
			if err := belongsToRoot(file); err != nil {
				return c, err
			}
		}
	}
	return c, nil
}

// files are those that decide whom the agent trusts.
func (c Config) files() []string {
	files := slices.Clone(c.CA)
	for _, name := range slices.Sorted(maps.Keys(c.Stores)) {
		files = append(files, c.Stores[name].CA...)
	}
	return files
}

func readConfig(path string, m Mode) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || path == "" {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	if info.Size() > configLimit {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, configLimit)
	}
	if m == Machine {
		if err := belongsToRoot(path); err != nil {
			return nil, err
		}
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return content, nil
}

// configError gives an error of the YAML library as "file:line:column: what".
// The library's own text would quote lines of the file.
func configError(path string, err error) error {
	located, ok := errors.AsType[yaml.Error](err)
	if !ok || located.GetToken() == nil {
		return fmt.Errorf("%s: %s", path, firstLine(err.Error()))
	}
	at := located.GetToken().Position
	return fmt.Errorf("%s:%d:%d: %s", path, at.Line, at.Column, firstLine(located.GetMessage()))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// wrongValue is a value that YAML accepts and we do not.
type wrongValue struct {
	path string // YAML path, e.g. $.listen.tcp
	what string
}

// at finds the value in the file, or, where it is missing, what it should
// stand in.
func (w *wrongValue) at(file string, tree *ast.File) error {
	for path := w.path; path != ""; path = path[:max(0, strings.LastIndexByte(path, '.'))] {
		place, err := yaml.PathString(path)
		if err != nil {
			continue
		}
		if node, err := place.FilterFile(tree); err == nil {
			at := node.GetToken().Position
			return fmt.Errorf("%s:%d:%d: %s", file, at.Line, at.Column, w.what)
		}
	}
	return fmt.Errorf("%s: %s", file, w.what)
}

func (c Config) check(empty bool) *wrongValue {
	if c.Version != 1 && !empty {
		return &wrongValue{"$.version", `this agent reads "version: 1"`}
	}
	if _, err := c.tcp(""); err != nil {
		return &wrongValue{"$.listen.tcp", err.Error()}
	}
	if _, err := c.Audit.maxSize(); err != nil {
		return &wrongValue{"$.audit.max_size", err.Error()}
	}
	if _, err := c.Audit.keep(); err != nil {
		return &wrongValue{"$.audit.keep", err.Error()}
	}
	for name, s := range c.Stores {
		if wrong := checkStore(name, s); wrong != nil {
			return wrong
		}
	}
	for name, p := range c.Profiles {
		if _, field, err := declared(name, p, c); err != nil {
			at := "$.profiles.'" + name + "'"
			if field != "" {
				at += "." + field
			}
			return &wrongValue{at, fmt.Sprintf("profile %q: %v", name, err)}
		}
	}
	return nil
}

// tcp is the address of the TCP door, empty when it is off.
func (c Config) tcp(otherwise string) (string, error) {
	switch c.Listen.TCP {
	case "":
		return otherwise, nil
	case "off":
		return "", nil
	}
	addr, err := netip.ParseAddrPort(c.Listen.TCP)
	if err != nil || !addr.Addr().IsLoopback() {
		return "", fmt.Errorf("%q: the TCP door listens on a loopback address with port (127.0.0.1:15398, [::1]:15398), or is off", c.Listen.TCP)
	}
	return c.Listen.TCP, nil
}

func (a AuditConfig) maxSize() (int64, error) {
	if a.MaxSize == "" {
		return 64 << 20, nil
	}
	digits := strings.TrimRight(a.MaxSize, "KMGiB")
	n, err := strconv.ParseInt(digits, 10, 32)
	unit, known := map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[a.MaxSize[len(digits):]]
	if err != nil || !known || n*unit < 64<<10 {
		return 0, fmt.Errorf("%q: a size of at least 64KiB, such as 64MiB", a.MaxSize)
	}
	return n * unit, nil
}

func (a AuditConfig) keep() (time.Duration, error) {
	if a.Keep == "" {
		return 90 * 24 * time.Hour, nil
	}
	days, err := strconv.ParseUint(strings.TrimSuffix(a.Keep, "d"), 10, 16)
	if err != nil || days == 0 || !strings.HasSuffix(a.Keep, "d") {
		return 0, fmt.Errorf("%q: a number of days, such as 90d", a.Keep)
	}
	return time.Duration(days) * 24 * time.Hour, nil
}
