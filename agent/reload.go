package agent

import (
	"context"

	"keytender/agent/api"
	"keytender/agent/internal/audit"
	"keytender/agent/internal/identity"
	"keytender/agent/internal/peer"
	"keytender/vault/egress"
)

func (a *Agent) reloadFor(ctx context.Context, caller peer.Caller) (api.Reloaded, error) {
	record := recordOf(caller, "admin")
	record.Event = "reload"
	return a.reload(ctx, record)
}

// reload takes over a new config.yaml whole, or, if anything in it is wrong,
// not at all.
func (a *Agent) reload(ctx context.Context, record audit.Record) (api.Reloaded, error) {
	if err := a.admin.take(ctx); err != nil {
		return api.Reloaded{}, err
	}
	defer a.admin.give()
	config, err := Load(a.configPath, a.mode)
	if err != nil {
		return api.Reloaded{}, a.rejected(err)
	}
	next, err := newCatalog(config, a.ledger.held.Profiles)
	if err != nil {
		return api.Reloaded{}, a.rejected(err)
	}
	client, err := egress.New(egress.Options{CAFiles: config.CA, UserAgent: "keytender/" + a.version})
	if err != nil {
		return api.Reloaded{}, a.rejected(err)
	}
	if err := a.audit.AppendSync(record); err != nil {
		return api.Reloaded{}, err
	}
	if config.Listen != a.config.Listen || config.Audit != a.config.Audit {
		a.log.Warn("listen and audit take effect at the next start", "file", a.configPath)
	}
	a.outbound.Store(client)
	a.identity.Store(identity.New(client, a.now))
	a.stores.configure(config, defaultStore(a.mode, a.ephemeral))
	a.config = config
	changed := a.publishCatalog(next)
	a.log.Info("configuration read again", "file", a.configPath, "changed", changed)
	return api.Reloaded{Changed: changed, Profiles: len(next.profiles)}, nil
}

func (a *Agent) rejected(err error) error {
	a.log.Error("configuration refused; the old one stays", "file", a.configPath, "error", err)
	return &api.Error{Code: api.InvalidRequest, Description: err.Error(), Hint: "mend the file and reload; until then the old configuration stays", Field: "config"}
}

// publish makes what the ledger holds live.
func (a *Agent) publish() {
	next, err := newCatalog(a.config, a.ledger.held.Profiles)
	if err != nil {
		a.log.Error("paired profiles cannot be served", "error", err) // checked before they were paired
		return
	}
	a.publishCatalog(next)
}

// publishCatalog makes next live and forgets what was known of the profiles
// that it changes, whose names it returns.
func (a *Agent) publishCatalog(next *catalog) []string {
	next.keep(a.broker.catalog.Load())
	changed, moved := next.changed(a.broker.catalog.Swap(next))
	for _, name := range changed {
		a.forget(name)
		a.granter.secrets.drop(name)
	}
	for _, name := range moved {
		a.heal(name)
	}
	return append(changed, moved...)
}

// forget drops the tokens and remembered errors of a profile.
func (a *Agent) forget(name string) {
	a.granter.forget(name)
	a.broker.sessions.Forget(name)
}

// heal has the secret of a profile tried anew; its tokens stay.
func (a *Agent) heal(name string) {
	a.granter.forget(name)
	a.broker.sessions.Heal(name)
}

// retry has the next request for a profile ask Identity again, whatever was
// remembered.
func (a *Agent) retry(_ context.Context, caller peer.Caller, name string) error {
	p, err := a.broker.catalog.Load().pick(name)
	if err != nil {
		return err
	}
	if err := a.recordAct(caller, "retry", p.Name, ""); err != nil {
		return err
	}
	if store, err := a.stores.get(p.Store); err == nil {
		store.allow()
	}
	a.forget(p.Name)
	return nil
}

// AuditReport is what a check of the audit files came to.
type AuditReport struct {
	Records uint64 // records whose chain holds
	Files   int
	Head    string // hash of the newest record
	CutOff  bool   // the newest line is torn, as a power cut leaves it
}

// VerifyAudit checks the chain of the audit files of a state directory; the
// agent need not run. The error names file, line and number of the first
// record that is not as it was written.
func VerifyAudit(stateDir string) (AuditReport, error) {
	report, err := audit.Verify(auditDir(stateDir))
	return AuditReport{Records: report.Records, Files: report.Files, Head: report.Head, CutOff: report.CutOff}, err
}
