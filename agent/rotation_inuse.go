package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"keytender/agent/internal/orchestrator"
)

// tryHeld gets a token with the secret in use: who writes an entry with the client
// id in it must not get another client's secret by naming that, and which secret is
// in use is not known of one that is wrong.
func (x *rotating) tryHeld(ctx context.Context) error {
	to, err := x.granter.endpoint(ctx, x.p)
	if err != nil {
		return err
	}
	_, err = x.tryToken(ctx, x.caller, x.p, to, x.held)
	if err == nil {
		return nil
	}
	said := explain(err)
	if said.ProviderError != "invalid_client" {
		return err
	}
	x.refused = said
	return nil
}

// inUse is the id of the secret in use. Servers do not tell which one that is:
// it is known if there is only one, or if a rotation of ours made it.
func (x *rotating) inUse(list []orchestrator.SecretInfo) (string, error) {
	known := x.ledger.held.SecretIDs[x.p.Name]
	switch {
	case x.refused != nil && (x.p.ClientIDFrom != "" || !x.asked.KeepOld && x.asked.Old == ""):
		return "", x.isRefused()
	case x.asked.KeepOld:
		return "", nil
	case len(x.shared) > 0:
		return "", unfit("keep_old", "the same secret is also that of "+strings.Join(x.shared, ", ")+", which would lose it",
			"say --keep-old, and rotate the last profile that has it with --old ID")
	case x.asked.Old != "":
		return x.asked.Old, x.has(list, x.asked.Old)
	case known.Mark == x.mark(x.held.secret) && slices.Contains(idsOf(list), known.ID):
		return known.ID, nil
	case len(list) == 1:
		return list[0].ID, nil
	}
	return "", unfit("old", x.p.Name+" has "+x.ages(list)+", and which one is in use is not known", "name it with --old ID, delete the others in Orchestrator, or say --keep-old")
}

// sharers are the other profiles that have the secret in use in a place of their
// own, and so would lose it.
func (x *rotating) sharers(ctx context.Context) (names []string) {
	live := x.broker.catalog.Load()
	for _, name := range live.names() {
		q := live.profiles[name]
		if name == x.p.Name || q.ClientIDFrom == "" && q.ClientID != x.held.clientID {
			continue
		}
		store, err := x.granter.store(q)
		if err != nil || store.holds(q.Entry, x.store, x.p.Entry) {
			continue
		}
		if its, err := x.granter.credentialIn(ctx, q, store); err == nil && its.secret.Equal(x.held.secret) {
			names = append(names, name)
		}
	}
	return names
}

// isRefused is why no secret is made beside one that is wrong.
func (x *rotating) isRefused() error {
	said := *x.refused
	said.Profile, said.Description = x.p.Name, said.Description+", so which secret of "+x.held.clientID+" is in use is not known, and none was made"
	said.Hint = "say --keep-old if it is lost, or name with --old ID which one is to be deleted"
	if x.p.ClientIDFrom != "" {
		said.Hint = "put a client id and secret that belong together into the entry " + x.p.Entry + " of " + x.store.name
	}
	return &said
}

// has returns nil if there is a secret of that id.
func (x *rotating) has(list []orchestrator.SecretInfo, id string) error {
	if slices.Contains(idsOf(list), id) {
		return nil
	}
	return unfit("old", x.p.Name+" has no secret "+id+": there is "+x.ages(list), "name one that is there with --old, or none with --keep-old")
}

func idsOf(list []orchestrator.SecretInfo) []string {
	ids := []string{}
	for _, s := range list {
		ids = append(ids, s.ID)
	}
	return ids
}

// ages are the secrets that there are, for people.
func (x *rotating) ages(list []orchestrator.SecretInfo) string {
	if len(list) == 0 {
		return "no secret"
	}
	var each []string
	for _, s := range list {
		text := "secret " + s.ID
		if days := x.ageInDays(s.CreatedAt); days != nil {
			text += fmt.Sprintf(" (%d days old)", *days)
		}
		each = append(each, text)
	}
	return strings.Join(each, ", ")
}
