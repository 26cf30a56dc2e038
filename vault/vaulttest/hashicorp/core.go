package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/hashicorp/go-hclog"
	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/cert"
	"github.com/hashicorp/vault/builtin/credential/ldap"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	vaultcore "github.com/hashicorp/vault/vault"
)

// vault is an initialised, open core with what stands around it.
type vault struct {
	core      *vaultcore.Core
	handler   http.Handler // the core's HTTP API
	root, key string       // root's token and the one key that unseals
	front     *front
	directory *directory
}

func newVault() (*vault, error) {
	logger := hclog.New(&hclog.LoggerOptions{Name: "vault", Level: hclog.Error})
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return nil, err
	}
	core, err := vaultcore.NewCore(&vaultcore.CoreConfig{
		Physical:        storage,
		BuiltinRegistry: builtins,
		DisableMlock:    true,
		Logger:          logger,
	})
	if err != nil {
		return nil, err
	}
	one := &vaultcore.SealConfig{SecretShares: 1, SecretThreshold: 1}
	keys, err := core.Initialize(context.Background(), &vaultcore.InitParams{BarrierConfig: one, RecoveryConfig: one})
	if err != nil {
		return nil, err
	}
	v := &vault{core: core, root: keys.RootToken, key: string(keys.SecretShares[0])}
	v.handler = vaulthttp.Handler.Handler(&vaultcore.HandlerProperties{Core: core, ListenerConfig: new(configutil.Listener)})
	v.front = newFront(v.handler)
	if err := v.unseal(); err != nil {
		return nil, err
	}
	if v.directory, err = listenLDAP(); err != nil {
		return nil, err
	}
	return v, v.mount()
}

func (v *vault) unseal() error {
	open, err := v.core.Unseal([]byte(v.key))
	if err == nil && !open {
		return fmt.Errorf("still sealed")
	}
	return err
}

// mount makes what the layouts of Orchestrator's own credential stores name. The
// AD engine is no longer among Vault's own: a KV engine in its place answers
// ad/creds/NAME in the same form and under the same policies.
func (v *vault) mount() error {
	type options = map[string]string
	for _, m := range []struct {
		path, kind string
		options    options
	}{
		{"mounts/kv", "kv", options{"version": "1"}},
		{"mounts/kv-v2", "kv", options{"version": "2"}},
		{"mounts/ad", "kv", options{"version": "1"}},
		{"auth/approle", "approle", nil},
		{"auth/cert", "cert", nil},
		{"auth/jwt", "jwt", nil},
		{"auth/ldap", "ldap", nil},
		{"auth/userpass", "userpass", nil},
	} {
		if err := v.must("sys/"+m.path, map[string]any{"type": m.kind, "options": m.options}); err != nil {
			return err
		}
	}
	return v.must("auth/ldap/config", map[string]any{
		"url": v.directory.url, "userdn": "ou=people", "userattr": "uid", "username_as_alias": true,
	})
}

// registry is the engines and login methods that this vault can mount.
type registry map[consts.PluginType]map[string]logical.Factory

var builtins = registry{
	consts.PluginTypeSecrets: {"kv": kv.Factory},
	consts.PluginTypeCredential: {
		"approle":  approle.Factory,
		"cert":     cert.Factory,
		"jwt":      jwt.Factory,
		"ldap":     ldap.Factory,
		"userpass": userpass.Factory,
	},
}

func (r registry) Contains(name string, kind consts.PluginType) bool {
	return r[kind][name] != nil
}

func (r registry) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	factory, ok := r[kind][name]
	return func() (any, error) { return factory, nil }, ok
}

func (r registry) Keys(kind consts.PluginType) (names []string) {
	for name := range r[kind] {
		names = append(names, name)
	}
	return names
}

func (r registry) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, r.Contains(name, kind)
}

func (r registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
