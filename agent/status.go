package agent

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/door"
	"keytender/agent/internal/peer"
	"keytender/agent/internal/policy"
)

// profiles are the profiles that the caller may use.
func (a *Agent) profiles(_ context.Context, caller peer.Caller) ([]api.Profile, error) {
	list := []api.Profile{}
	if !a.mayUse(caller) {
		return list, nil
	}
	live := a.broker.catalog.Load()
	for _, name := range live.names() {
		list = append(list, a.profileStatus(live.profiles[name]))
	}
	return list, nil
}

// mayUse reports whether the rules let the caller have any token at all.
func (a *Agent) mayUse(c peer.Caller) bool {
	return policy.Decide(policy.Request{Caller: policy.Caller{Known: c.Known, UID: c.UID}, AgentUID: a.broker.owner}).Allowed
}

// callerStatus is the status as a caller may see it.
func (a *Agent) callerStatus(ctx context.Context, caller peer.Caller) (api.Status, error) {
	if !a.mayUse(caller) {
		return api.Status{Version: api.Version, Agent: api.AgentStatus{Version: a.version, Mode: string(a.mode), State: api.StateReady},
			Profiles: []api.Profile{}, Stores: []api.StoreStatus{}, Prompts: []struct{}{}}, nil
	}
	return a.status(ctx)
}

// status is the whole status. It asks nobody: every part remembers how it is.
func (a *Agent) status(context.Context) (api.Status, error) {
	status := api.Status{
		Version: api.Version,
		Agent: api.AgentStatus{
			Version: a.version, Mode: string(a.mode), State: api.StateReady,
			StartedAt: a.started, TCP: a.TCP(), PID: os.Getpid(),
		},
		Profiles: []api.Profile{}, Stores: []api.StoreStatus{}, Prompts: []struct{}{},
	}
	live := a.broker.catalog.Load()
	for _, name := range live.names() {
		p := a.profileStatus(live.profiles[name])
		status.Agent.State = worse(status.Agent.State, p.State)
		status.Profiles = append(status.Profiles, p)
	}
	for _, store := range a.stores.seen() {
		s := store.status()
		if s.State != api.StoreOK && s.State != "" {
			status.Agent.State = worse(status.Agent.State, api.StateTrouble)
		}
		status.Stores = append(status.Stores, s)
	}
	if err := a.doors.tcpError; err != nil {
		status.Agent.TCPError = noTCP(err)
		status.Agent.State = api.StateTrouble
	}
	if err := a.audit.Err(); err != nil {
		status.Agent.Audit = door.Explain(err)
		status.Agent.State = api.StateTrouble
	}
	return status, nil
}

// worse is the state that a person should see of two.
func worse(a, b string) string {
	for _, state := range []string{api.StateTrouble, api.StateNeedsYou, api.StateLocked, api.StateWorking} {
		if a == state || b == state {
			return state
		}
	}
	return api.StateReady
}

func (a *Agent) profileStatus(p *profile) api.Profile {
	live := a.broker.catalog.Load()
	seen := a.broker.sessions.Look(p.Name)
	changed, previous := a.granter.secrets.last(p.Name)
	if changed.IsZero() {
		changed = p.SecretAt
	}
	status := api.Profile{
		Name: p.Name, Kind: p.Kind, Source: p.Source, State: api.StateReady, Default: live.standard == p.Name,
		URL: p.URL, Store: p.storeName(), Scopes: p.Scopes,
		ExpiresAt: instant(seen.ExpiresAt), RenewsAt: instant(seen.RenewsAt), SecretAgeDays: a.ageInDays(changed), SecretPrevious: previous,
		Environment: p.environment(),
	}
	if seen.Working {
		status.State = api.StateWorking
	}
	if seen.LastError != nil {
		status.State = api.StateTrouble
		status.LastError = explain(seen.LastError)
		status.LastError.Profile = p.Name
	}
	return status
}

func (p *profile) storeName() string {
	if p.Store == "" {
		return defaultStoreName
	}
	return p.Store
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (a *Agent) ageInDays(t time.Time) *int {
	if t.IsZero() {
		return nil
	}
	days := max(0, int(a.now().Sub(t)/(24*time.Hour)))
	return &days
}

// noTCP is why the TCP door is closed, for people.
func noTCP(err error) *api.Error {
	return &api.Error{Code: api.Unavailable, Description: "the TCP door cannot be opened: " + err.Error(),
		Hint: "see who has the port, or set listen in config.yaml to another one or to off, and restart the agent"}
}

// ready reports whether a token could be given, with a line for each part that
// names nothing, for anybody may ask.
// A store that does not answer is told, and takes away no token that is
// still valid.
func (a *Agent) ready(context.Context) (bool, []string) {
	err := a.audit.Err()
	states := map[string]int{}
	for _, store := range a.stores.seen() {
		states[store.status().State]++
	}
	lines := []string{part("audit", err)}
	for _, state := range slices.Sorted(maps.Keys(states)) {
		lines = append(lines, fmt.Sprintf("stores %s: %d", cmp.Or(state, "not asked yet"), states[state]))
	}
	return err == nil, lines
}

func part(name string, err error) string {
	if err != nil {
		return name + ": " + door.Explain(err).Description
	}
	return name + ": ok"
}
