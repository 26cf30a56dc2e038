package policy_test

import (
	"go/build"
	"slices"
	"testing"

	"keytender/agent/internal/policy"
)

// The people of the table: the agent runs as user 1000, or in one row as root.
var (
	owner   = policy.Caller{Known: true, UID: 1000}
	another = policy.Caller{Known: true, UID: 1001}
	root    = policy.Caller{Known: true, UID: 0}
	nobody  = policy.Caller{}
	unnamed = policy.Caller{UID: 1000}
	last    = policy.Caller{Known: true, UID: 1<<32 - 1}
)

func TestDecide(t *testing.T) {
	const agent, rootAgent, noIDs = 1000, 0, -1
	open, bound := []string(nil), []string{"OR.Machines", "OR.Jobs.Read"}
	ask := func(scopes ...string) []string { return scopes }

	for _, row := range []struct {
		sentence string
		caller   policy.Caller
		agent    int
		profile  []string
		asks     []string
		reason   string   // "": allowed …
		gets     []string // … and gets these
	}{
		{"the agent's user may have a token without naming scopes", owner, agent, open, ask(), "", nil},
		{"who names no scope gets those of the profile", owner, agent, bound, ask(), "", bound},
		{"a profile without scopes leaves them to the provider", owner, agent, open, ask("X.Y"), "", ask("X.Y")},
		{"a scope of the profile may be asked for", owner, agent, bound, ask("OR.Machines"), "", ask("OR.Machines")},
		{"a half of a scope of the profile may be asked for", owner, agent, bound, ask("OR.Machines.Read"), "", ask("OR.Machines.Read")},
		{"the whole of a half may not", owner, agent, bound, ask("OR.Jobs"), policy.ScopeNotInBounds, nil},
		{"a scope the profile does not list may not", owner, agent, bound, ask("OR.Users"), policy.ScopeNotInBounds, nil},
		{"one scope out of bounds spoils the rest", owner, agent, bound, ask("OR.Machines", "OR.Users"), policy.ScopeNotInBounds, nil},
		{"another user gets nothing", another, agent, open, ask(), policy.OtherUser, nil},
		{"another user gets nothing within bounds either", another, agent, bound, ask("OR.Machines"), policy.OtherUser, nil},
		{"root has no special right", root, agent, open, ask(), policy.OtherUser, nil},
		{"root may have what an agent of root has", root, rootAgent, open, ask(), "", nil},
		{"an unknown caller gets nothing", nobody, agent, open, ask(), policy.CallerUnknown, nil},
		{"an unknown caller is not root to an agent of root", nobody, rootAgent, open, ask(), policy.CallerUnknown, nil},
		{"a uid that the kernel did not vouch for counts for nothing", unnamed, agent, open, ask(), policy.CallerUnknown, nil},
		{"where there are no uids nobody is the agent's user", owner, noIDs, open, ask(), policy.OtherUser, nil},
		{"where there are no uids the last uid is not either", last, noIDs, open, ask(), policy.OtherUser, nil},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			got := policy.Decide(policy.Request{
				Caller: row.caller, AgentUID: row.agent,
				Profile: policy.Profile{Name: "invoices", Scopes: row.profile}, Scopes: row.asks,
			})
			if got.Allowed != (row.reason == "") || got.Reason != row.reason || !slices.Equal(got.Scopes, row.gets) {
				t.Errorf("ruling %+v", got)
			}
			if got.Allowed != (got.Rule == policy.RuleSameUser) {
				t.Errorf("allowed %v by rule %q", got.Allowed, got.Rule)
			}
		})
	}
}

func TestZeroRequestIsRefused(t *testing.T) {
	if policy.Decide(policy.Request{}).Allowed {
		t.Error("allowed")
	}
}

func TestPolicyIsPure(t *testing.T) {
	pure := map[string]bool{"errors": true, "fmt": true, "slices": true, "strings": true}
	folder, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range folder.Imports {
		if !pure[name] {
			t.Errorf("imports %s", name)
		}
	}
}
