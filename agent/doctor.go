package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/orchestrator"
	"keytender/agent/internal/peer"
	"keytender/vault/egress"
)

// skewLimit is from where on a clock is called wrong.
const skewLimit = 30 * time.Second

// doctor tries everything that a token depends on, and says of each what it
// found and what to do.
func (a *Agent) doctor(ctx context.Context, caller peer.Caller, name string) (api.Doctor, error) {
	live := a.broker.catalog.Load()
	names := live.names()
	if name != "" {
		if _, err := live.pick(name); err != nil {
			return api.Doctor{}, err
		}
		names = []string{name}
	}
	report := &report{}
	a.checkOwnParts(ctx, report)
	for _, name := range names {
		a.checkProfile(ctx, caller, report, live.profiles[name])
	}
	if len(live.profiles) == 0 {
		report.add(api.Check{Name: "profiles", Result: api.CheckWarn, Found: "no profile is paired",
			ToDo: `run "keytender pair NAME --kind robot --url URL --client-id ID"`})
	}
	return api.Doctor{Checks: report.checks}, nil
}

// report gathers checks.
type report struct{ checks []api.Check }

func (r *report) add(c api.Check) { r.checks = append(r.checks, c) }

// result adds a check that is well if err is nil, and reports whether it is.
func (r *report) result(name, profile, found string, err error) bool {
	check := api.Check{Name: name, Profile: profile, Result: api.CheckOK, Found: found}
	if err != nil {
		said := explain(err)
		check.Result, check.Found, check.ToDo = api.CheckFail, said.Description, said.Hint
	}
	r.add(check)
	return err == nil
}

func (r *report) skip(profile string, names ...string) {
	for _, name := range names {
		r.add(api.Check{Name: name, Profile: profile, Result: api.CheckSkip, Found: "not tried, because of what failed before"})
	}
}

// checkOwnParts looks at state, audit, doors and stores.
func (a *Agent) checkOwnParts(ctx context.Context, r *report) {
	bound := api.Check{Name: "state", Result: api.CheckOK, Found: a.dir.Path() + ", bound to this machine"}
	if !a.dir.Bound() {
		bound.Result, bound.Found = api.CheckWarn, a.dir.Path()+" is not bound to a machine: this system has no machine id"
		bound.ToDo = `give the system one ("systemd-machine-id-setup") before pairing`
	}
	r.add(bound)
	r.result("audit", "", "records are being written", a.audit.Err())
	r.result("door", "", "the workload socket answers on "+a.socket, a.tryDoor(ctx))
	if a.doors.tcpError != nil {
		r.result("door", "", "", noTCP(a.doors.tcpError))
	} else if a.TCP() != "" {
		r.result("door", "", "the TCP door answers on "+a.TCP(), a.tryTCP(ctx))
	} else {
		r.add(api.Check{Name: "door", Result: api.CheckOK, Found: "the TCP door is off"})
	}
	for _, store := range a.storesInUse() {
		found := store.name + " (" + store.String() + ") answers"
		if store.config.Shared() {
			found += " and lets the agent in"
		}
		r.result("store", "", found, store.Check(ctx))
	}
}

func (a *Agent) tryDoor(ctx context.Context) error {
	client := &api.Client{Socket: a.socket}
	defer client.Close()
	_, err := client.Status(ctx)
	return err
}

func (a *Agent) tryTCP(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.TCP()+"/livez", nil)
	if err != nil {
		return err
	}
	r.Header.Set("Keytender", "1")
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r) // never through a proxy
	if err != nil {
		return &api.Error{Code: api.Unavailable, Description: "nobody answers on " + a.TCP(), Hint: "restart the agent, and look whether something else blocks loopback connections"}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return &api.Error{Code: api.Unavailable, Description: fmt.Sprintf("%s answers with status %d", a.TCP(), answer.StatusCode), Hint: "look at the agent's log"}
	}
	return nil
}

// storesInUse are the default store and those that a profile names.
func (a *Agent) storesInUse() []*watchedStore {
	for _, p := range a.broker.catalog.Load().profiles {
		_, _ = a.stores.get(p.Store) // opened, if it can be; a store that cannot shows at its profile
	}
	_, _ = a.stores.get("")
	return a.stores.seen()
}

// checkProfile goes the way of a token: secret, discovery, clock, token,
// and the resource for which it is.
func (a *Agent) checkProfile(ctx context.Context, caller peer.Caller, r *report, p *profile) {
	held, err := a.readAnew(ctx, p)
	if !r.result("secret", p.Name, "rests in "+p.storeName()+a.ageOf(p, held), err) {
		r.skip(p.Name, "tls", "discovery", "clock", "token", "orchestrator")
		return
	}
	to, ok := endpoint{}, a.checkTLS(ctx, r, p)
	if ok {
		to, ok = a.checkDiscovery(ctx, r, p)
	}
	if !ok {
		r.skip(p.Name, "token", "orchestrator")
		return
	}
	granted, err := a.tryToken(ctx, caller, p, to, held)
	if !r.result("token", p.Name, fmt.Sprintf("issued at %s, valid for %s", to.TokenEndpoint, validity(granted)), err) {
		r.skip(p.Name, "orchestrator")
		return
	}
	if p.address == nil {
		return
	}
	answer, err := orchestrator.Client{HTTP: a.outbound.Load()}.Check(ctx, *p.address, granted.Access)
	r.add(resourceCheck(p, answer, err))
}

// readAnew is what the profile's store has now, whatever is kept of it.
func (a *Agent) readAnew(ctx context.Context, p *profile) (credential, error) {
	store, err := a.granter.store(p)
	if err != nil {
		return credential{}, err
	}
	store.Forget(p.Entry)
	return a.granter.credentialIn(ctx, p, store)
}

// ageOf says where in a shared store the secret rests, and how old it is, where
// that is known.
func (a *Agent) ageOf(p *profile, held credential) string {
	text := ""
	if p.Adopted {
		text = ", entry " + p.Entry
	}
	changed := held.entry.Changed
	if changed.IsZero() {
		changed = p.SecretAt
	}
	if days := a.ageInDays(changed); days != nil {
		text += fmt.Sprintf(", changed %d days ago", *days)
	}
	return text
}

// resourceCheck is what Orchestrator made of the token: the last two of the
// seven steps.
func resourceCheck(p *profile, answer orchestrator.Answer, err error) api.Check {
	check := api.Check{Name: "orchestrator", Profile: p.Name, Result: api.CheckFail}
	if err != nil {
		said := explain(err)
		check.Found, check.ToDo = said.Description, said.Hint
		return check
	}
	check.Found, check.ToDo = p.address.Base+": "+answer.String(), answer.Todo()
	switch answer.Verdict {
	case orchestrator.Accepted, orchestrator.Forbidden:
		check.Result = api.CheckOK
	case orchestrator.Unclear:
		check.Result = api.CheckWarn
	}
	return check
}

// checkTLS looks at the certificate of the server that is asked first.
func (a *Agent) checkTLS(ctx context.Context, r *report, p *profile) bool {
	server := p.Identity
	if server == "" {
		server = p.address.Origin
	}
	if strings.HasPrefix(server, "http:") {
		r.add(api.Check{Name: "tls", Profile: p.Name, Result: api.CheckOK, Found: server + " is this machine itself, by plain http"})
		return true
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, server, nil)
	if err != nil {
		return r.result("tls", p.Name, "", err)
	}
	answer, err := a.outbound.Load().Do(request)
	if _, redirected := errors.AsType[*egress.RedirectError](err); redirected {
		err = nil // it answered, by TLS; where to is discovery's matter
	}
	found := server + " has a certificate that this machine trusts"
	if err != nil {
		what, todo := egress.Explain(err)
		err = &api.Error{Code: api.ProviderUnavailable, Description: what, Hint: todo}
	} else if answer != nil {
		answer.Body.Close()
		if answer.TLS != nil && len(answer.TLS.PeerCertificates) > 0 {
			found += ", valid until " + answer.TLS.PeerCertificates[0].NotAfter.UTC().Format(time.DateOnly)
		}
	}
	if !r.result("tls", p.Name, found, err) {
		r.skip(p.Name, "discovery", "clock")
		return false
	}
	return true
}

// checkDiscovery asks again where the secret goes, and what time it is there.
func (a *Agent) checkDiscovery(ctx context.Context, r *report, p *profile) (endpoint, bool) {
	resolved, err := a.granter.resolve(ctx, p)
	found := fmt.Sprintf("%s says %s", resolved.Step, resolved.TokenEndpoint)
	if !r.result("discovery", p.Name, found, err) {
		r.skip(p.Name, "clock")
		return endpoint{}, false
	}
	if resolved.Warning != "" {
		r.add(api.Check{Name: "discovery", Profile: p.Name, Result: api.CheckWarn, Found: resolved.Warning,
			ToDo: "nothing, if the token below is issued; else ask the administrator of the Identity Server"})
	}
	r.add(clockCheck(p.Name, resolved.Skew))
	to := endpoint{Issuer: resolved.Issuer, TokenEndpoint: resolved.TokenEndpoint, Step: resolved.Step}
	if p.Found.TokenEndpoint != "" && p.Found.TokenEndpoint != to.TokenEndpoint {
		r.add(api.Check{Name: "discovery", Profile: p.Name, Result: api.CheckWarn,
			Found: "paired with " + p.Found.TokenEndpoint + ", which is where the secret still goes",
			ToDo:  "pair again with --replace, if the new address is right"})
		to = p.Found
	}
	return to, true
}

func clockCheck(profile string, skew time.Duration) api.Check {
	check := api.Check{Name: "clock", Profile: profile, Result: api.CheckOK, Found: fmt.Sprintf("differs from Identity's by %s", skew.Abs().Round(time.Second))}
	if skew.Abs() > skewLimit {
		check.Result = api.CheckWarn
		check.ToDo = `set this machine's clock, by NTP ("timedatectl set-ntp true")`
	}
	return check
}
