package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"keytender/agent/api"
	"keytender/agent/orchestratortest"
	"keytender/installer/testbed"
	"keytender/vault"
	"keytender/vault/vaulttest"
)

// store is a place where the profile's secret can rest, and what came of
// measuring tokens from there.
type store struct {
	name       string // ends in "-fake" where its server is one
	config     vault.Config
	credential string     // by which it is logged in to
	asked      func() int // how many requests its server had so far; nil: it has none

	agent  *agent          // with the profile's secret in this store
	own    vault.Options   // by which the benchmark itself opens the same
	first  []fetch         // of an agent that has just started
	later  []fetch         // of one that is logged in
	cached []time.Duration // the median latency of each turn
}

// newStores starts the servers. They all have the robot's credential in an entry
// that is called like the profile; the first store is the base of comparisons.
func newStores(t testbed.Test, robot orchestratortest.Client) []*store {
	return []*store{
		{name: "sealed"},
		hashicorp(t, robot),
		azure(t, robot),
		ccp(t, robot),
		conjur(t, robot),
	}
}

// hashicorp is a vault of HashiCorp's own core, with KV version 2.
func hashicorp(t testbed.Test, robot orchestratortest.Client) *store {
	v := vaulttest.HashiCorp(t)
	v.Policy(t, profile, `path "kv-v2/data/robots/*" { capabilities = ["read"] }`)
	v.Write(t, "kv-v2/data/robots/"+profile, map[string]any{"data": map[string]any{"Username": robot.ID, "Password": robot.Secret}})
	role, secret := v.AppRole(t, profile, profile, nil)
	return &store{
		name: "hashicorp", credential: secret, asked: func() int { return v.Requests(t, "") },
		config: vault.Config{
			URL: "hashicorp://" + v.Address + "/kv-v2/robots", CA: []string{v.CAFile},
			Login: vault.Login{Method: "approle", RoleID: role},
		},
	}
}

// azure has the credential as one JSON value, the only form that has room for it.
func azure(t testbed.Test, robot orchestratortest.Client) *store {
	v := vaulttest.FakeKeyVault(t)
	text, err := json.Marshal(map[string]string{"Username": robot.ID, "Password": robot.Secret})
	if err != nil {
		t.Fatal(err)
	}
	v.Set(profile, string(text))
	return &store{
		name: "azure-fake", credential: v.Entra.Secret, asked: func() int { return len(v.Asked()) + len(v.Entra.Asked()) },
		config: vault.Config{
			URL: "azure://" + v.Host, CA: v.CAFiles(),
			Login: vault.Login{Method: "client_secret", Tenant: v.Entra.Tenant, ClientID: v.Entra.ClientID, Authority: v.Entra.Authority()},
		},
	}
}

func ccp(t testbed.Test, robot orchestratortest.Client) *store {
	v := vaulttest.FakeCCP(t)
	v.Set(vaulttest.CCPAccount{Object: profile, UserName: robot.ID, Content: robot.Secret})
	client := v.Certificate(t, vaulttest.Of{RSA: 2048})
	return &store{
		name: "cyberark-ccp-fake", credential: client.Key + client.Chain, asked: func() int { return len(v.Asked()) },
		config: vault.Config{
			URL: "cyberark-ccp://" + v.Host + "/" + vaulttest.CCPApp + "?safe=Robot%20Accounts", CA: []string{v.CAFile},
			Login: vault.Login{Method: "certificate"},
		},
	}
}

// conjur has the entry in two variables, as is usual there.
func conjur(t testbed.Test, robot orchestratortest.Client) *store {
	v := vaulttest.FakeConjur(t)
	v.Set(vaulttest.ConjurPolicy+"/"+profile+"/username", robot.ID)
	v.Set(vaulttest.ConjurPolicy+"/"+profile+"/password", robot.Secret)
	return &store{
		name: "conjur-fake", credential: v.Key(), asked: func() int { return len(v.Asked()) },
		config: vault.Config{
			URL: "conjur://" + v.Host + "/" + vaulttest.ConjurAccount + "/" + vaulttest.ConjurPolicy, CA: []string{v.CAFile},
			Login: vault.Login{Method: "api_key", Username: vaulttest.ConjurLogin},
		},
	}
}

// refresh is how long entries are kept in memory: so short that whoever asks for
// a token anew asks the store anew.
const refresh = time.Millisecond

// storeName is what config.yaml calls a store that is not the default one.
const storeName = "vault"

// prepare makes the store's agent and pairs the profile.
func (s *store) prepare(ctx context.Context, program, dir string, provider *orchestratortest.Server, robot orchestratortest.Client) (err error) {
	s.own = vault.Options{
		Dir:       filepath.Join(dir, s.name, "own"),
		Bootstrap: func(context.Context, string) (vault.Secret, error) { return vault.NewSecret(s.credential), nil },
	}
	if s.asked == nil {
		return s.prepareSealed(ctx, program, dir, provider, robot)
	}
	s.config.Refresh, s.config.Origins = refresh, []string{provider.Origin}
	if s.agent, err = newAgent(ctx, program, filepath.Join(dir, s.name), s.line()); err != nil {
		return err
	}
	return s.agent.administer(ctx, func(admin *api.Admin) error {
		if err := admin.SetSecret(ctx, "store/"+storeName, s.credential); err != nil {
			return err
		}
		_, err := admin.Pair(ctx, api.Pairing{
			Version: api.Version, Name: profile, Kind: "robot", URL: provider.Orchestrator,
			Store: storeName, Entry: profile, ClientIDFrom: "entry",
		}, nil)
		return err
	})
}

// prepareSealed is prepare for the agent's own store. Another one, with the same
// key, is for the benchmark: nobody else reads the agent's.
func (s *store) prepareSealed(ctx context.Context, program, dir string, provider *orchestratortest.Server, robot orchestratortest.Client) (err error) {
	if s.agent, err = newAgent(ctx, program, filepath.Join(dir, s.name), ""); err != nil {
		return err
	}
	s.config = vault.Config{URL: "sealed:", Key: "file:" + s.agent.key()}
	own, err := vault.Open(s.config, s.own)
	if err != nil {
		return err
	}
	entry := vault.Entry{Username: robot.ID, Secret: vault.NewSecret(robot.Secret), Origins: []string{provider.Origin}}
	if err := errors.Join(own.Put(ctx, profile, entry), own.Close()); err != nil {
		return err
	}
	return s.agent.pair(ctx, provider.Orchestrator, robot)
}

// line is the store in config.yaml, in which JSON may stand too.
func (s *store) line() string {
	text, err := json.Marshal(map[string]any{
		"url": s.config.URL, "ca": s.config.CA, "refresh": s.config.Refresh.String(), "origins": s.config.Origins,
		"login": map[string]string{
			"method": s.config.Login.Method, "role_id": s.config.Login.RoleID, "username": s.config.Login.Username,
			"tenant": s.config.Login.Tenant, "client_id": s.config.Login.ClientID, "authority": s.config.Login.Authority,
		},
	})
	if err != nil {
		panic(err) // it is text alone
	}
	return fmt.Sprintf("  %s: %s\n", storeName, text)
}
