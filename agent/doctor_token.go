package agent

import (
	"context"
	"fmt"
	"time"

	"keytender/agent/internal/identity"
	"keytender/agent/internal/peer"
)

// sentAgainAfter is for how long doctor does not send a secret that Identity
// has called wrong: servers lock out who is wrong too often.
const sentAgainAfter = time.Minute

// tryToken has Identity prove the secret, and remembers what it says as a
// session's own grants do.
func (a *Agent) tryToken(ctx context.Context, caller peer.Caller, p *profile, to endpoint, held credential) (identity.Grant, error) {
	g, mark := a.granter, a.granter.mark(held.secret)
	if err := g.refusedLately(p.Name, mark); err != nil {
		return identity.Grant{}, err // nothing was sent, so there is nothing to record
	}
	granted, err := g.send(ctx, p, p.key, to, held)
	switch {
	case wrongSecret(err):
		g.secrets.refuse(p, mark, err, g.now(), g.live)
	case err == nil:
		g.worked(p, mark, held, fromStore)
	}
	return granted, g.record(recordOf(caller, "admin"), p, p.key, granted, err)
}

// refusedLately is the refusal of the same secret a short time ago, with how to
// have it sent all the same; else nil.
func (g *granter) refusedLately(name, mark string) error {
	at, before := g.secrets.refusal(name, mark)
	age := g.now().Sub(at)
	if before == nil || age < 0 || age >= sentAgainAfter {
		return nil
	}
	said := explain(before)
	said.Description += fmt.Sprintf("; it said so %d s ago and was not sent the same secret again", int(age.Seconds()))
	said.Hint += fmt.Sprintf(`; if it accepts the secret by now, run "keytender retry %s", or wait a minute, and ask doctor again`, name)
	return said
}
