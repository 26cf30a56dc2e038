package agent

import (
	"context"
	"crypto/hmac"
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
		g.refuse(p, mark, err)
	case err == nil:
		g.accept(p.Name, mark)
	}
	return granted, g.record(recordOf(caller, "admin"), p, p.key, granted, err)
}

// refusedLately is the refusal of the same secret a short time ago, with how to
// have it sent all the same; else nil.
func (g *granter) refusedLately(name, mark string) error {
	g.mu.Lock()
	before, ok := g.refused[name]
	g.mu.Unlock()
	age := g.now().Sub(before.at)
	if !ok || !hmac.Equal([]byte(before.mark), []byte(mark)) || age < 0 || age >= sentAgainAfter {
		return nil
	}
	said := explain(before.err)
	said.Description += fmt.Sprintf("; it said so %d s ago and was not sent the same secret again", int(age.Seconds()))
	said.Hint += fmt.Sprintf(`; if it accepts the secret by now, run "keytender retry %s", or wait a minute, and ask doctor again`, name)
	return said
}

// accept forgets the refusal of a secret that is right after all.
func (g *granter) accept(name, mark string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if hmac.Equal([]byte(g.refused[name].mark), []byte(mark)) {
		delete(g.refused, name)
	}
}
