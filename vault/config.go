package vault

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"keytender/vault/egress"
)

// Config is a store as config.yaml describes it. All but URL is for what is no
// part of an address, and a store refuses what it does not know.
type Config struct {
	URL string `yaml:"url"` // what Open opens; never holds a password

	Key string `yaml:"key"` // sealed: credential, keyring or file:/path

	CA        []string      `yaml:"ca"`        // PEM files trusted for this store besides the system's
	Timeout   time.Duration `yaml:"timeout"`   // of one question; 0 means 10 s
	Refresh   time.Duration `yaml:"refresh"`   // how long an entry is kept in memory at most; 0 means 5 min
	Write     bool          `yaml:"write"`     // else the store is read-only
	Origins   []string      `yaml:"origins"`   // where secrets of a shared store may be sent, each https://host[:port]
	Namespace string        `yaml:"namespace"` // HashiCorp: X-Vault-Namespace
	Engine    string        `yaml:"engine"`    // HashiCorp: kv1, kv2 or ad; empty: the server is asked
	Fields    Fields        `yaml:"fields"`
	Login     Login         `yaml:"login"`
}

// Fields name the keys of an entry that holds several; empty ones mean those
// that Orchestrator's credential stores read: Username and Password, or one
// that is named like the entry.
type Fields struct {
	Username string `yaml:"username"`
	Secret   string `yaml:"secret"`
}

// Login is how the agent shows a vault who it is. The credential itself is no
// part of it: it rests in the default store, or in TokenFile, which another
// program keeps fresh.
type Login struct {
	Method      string `yaml:"method"`      // the store's file lists its methods
	Mount       string `yaml:"mount"`       // HashiCorp: path of the auth method; empty: the method's usual one
	RoleID      string `yaml:"role_id"`     // HashiCorp approle
	Wrapped     bool   `yaml:"wrapped"`     // HashiCorp approle: the secret id is handed over response-wrapped
	Role        string `yaml:"role"`        // HashiCorp jwt and certificate
	Username    string `yaml:"username"`    // HashiCorp userpass and ldap; Conjur api_key and jwt: the host or user
	Tenant      string `yaml:"tenant"`      // Azure: directory id
	ClientID    string `yaml:"client_id"`   // Azure
	Authority   string `yaml:"authority"`   // Azure: https://host of the Entra authority; empty: the public cloud's
	Service     string `yaml:"service"`     // Conjur jwt: service id
	TokenFile   string `yaml:"token_file"`  // jwt and workload_identity: absolute path
	Certificate string `yaml:"certificate"` // absolute path of a PEM file: the chain, without the key
}

// ConfigError is a wrong key of a store's configuration.
type ConfigError struct {
	Field string // as in config.yaml: "url", "login.role_id"
	Err   error
}

func (e *ConfigError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ConfigError) Unwrap() error { return e.Err }

func wrong(field, format string, args ...any) error {
	return &ConfigError{field, fmt.Errorf(format, args...)}
}

// Shared reports whether other programs read and write the store too: a vault
// on the network, and none of the agent's own.
func (c Config) Shared() bool {
	scheme, _, _ := strings.Cut(c.URL, ":")
	return isShared(scheme)
}

// Default durations and limits of stores on the network.
const (
	defaultTimeout = 10 * time.Second
	defaultRefresh = 5 * time.Minute
	longestRefresh = 24 * time.Hour
)

// given are the keys of a configuration that only some stores know, and
// whether each is set.
func (c Config) given() map[string]bool {
	l := c.Login
	return map[string]bool{
		"key": c.Key != "", "ca": len(c.CA) > 0, "timeout": c.Timeout != 0, "refresh": c.Refresh != 0, "write": c.Write, "origins": len(c.Origins) > 0,
		"namespace": c.Namespace != "", "engine": c.Engine != "", "fields": c.Fields != Fields{},
		"login.method": l.Method != "", "login.mount": l.Mount != "", "login.role_id": l.RoleID != "", "login.wrapped": l.Wrapped,
		"login.role": l.Role != "", "login.username": l.Username != "", "login.tenant": l.Tenant != "",
		"login.client_id": l.ClientID != "", "login.authority": l.Authority != "", "login.service": l.Service != "",
		"login.token_file": l.TokenFile != "", "login.certificate": l.Certificate != "",
	}
}

// only refuses every key that is given and not among known, and checks those
// that mean the same to every store. Those that every shared store has need not
// be named: ca, timeout, refresh, origins.
func (c Config) only(known ...string) error {
	given := c.given()
	if c.Shared() {
		known = append([]string{"ca", "timeout", "refresh", "origins"}, known...)
	}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if given[key] && !slices.Contains(known, key) {
			return wrong(key, "this kind of store, logged in to so, has no such setting")
		}
	}
	for field, path := range map[string]string{"login.token_file": c.Login.TokenFile, "login.certificate": c.Login.Certificate} {
		if path != "" && !filepath.IsAbs(path) {
			return wrong(field, "%q: write the file's absolute path", path)
		}
	}
	for _, origin := range c.Origins {
		if u, err := egress.CheckURL(origin); err != nil || egress.Origin(u) != origin {
			return wrong("origins", "%q: write scheme, host and, where it is not the usual one, port: https://cloud.uipath.com", origin)
		}
	}
	if c.Timeout < 0 || c.Timeout > time.Minute {
		return wrong("timeout", "%s: a time of at most 1m, such as 10s", c.Timeout)
	}
	if c.Refresh < 0 || c.Refresh > longestRefresh {
		return wrong("refresh", "%s: a time of at most 24h, such as 15m", c.Refresh)
	}
	return nil
}

// needs refuses a configuration that lacks one of the keys.
func (c Config) needs(keys ...string) error {
	given := c.given()
	for _, key := range keys {
		if !given[key] {
			return wrong(key, "it is missing, and this login needs it")
		}
	}
	return nil
}
