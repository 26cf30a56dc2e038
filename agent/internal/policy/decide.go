// Package policy decides who may have what. It is pure: it opens nothing, asks
// nobody and keeps nothing, so that a ruling follows from its request alone.
//
// A door turns what came in into a Request: who asks is what the kernel said,
// scopes have passed Scopes and the name CheckName. Decide answers with a
// Ruling; what no rule allows is refused. The caller of Decide records the
// ruling before anyone acts on it.
package policy

// Caller is who asks, as the kernel told it. The zero Caller is unknown.
type Caller struct {
	Known bool
	UID   uint32
}

// Profile is the identity asked for. Scopes bounds what may be asked of it;
// empty leaves that to the provider.
type Profile struct {
	Name   string
	Scopes []string
}

// Request is one question. AgentUID is os.Getuid of the agent: -1 on systems
// without such ids, which no caller has.
type Request struct {
	Caller   Caller
	AgentUID int
	Profile  Profile
	Scopes   []string
}

// RuleSameUser is the rule that allows: the OS user that runs the agent.
const RuleSameUser = "same-user"

// Reasons for a refusal: for the record and for explain, not for the caller.
const (
	CallerUnknown    = "the kernel does not tell who the caller is"
	OtherUser        = "the caller is not the user that runs the agent"
	ScopeNotInBounds = "a scope goes beyond those of the profile"
)

// Ruling is the answer to a Request. Allowed comes with the Rule that allows
// and the Scopes to ask the provider for, in the order of the request; none were
// asked: those of the profile, which may be none too. Refused comes with the
// Reason. Scopes is shared with the request. The id by which people refer to a
// ruling is given by whoever records it, because policy draws no random numbers.
type Ruling struct {
	Allowed bool
	Rule    string
	Reason  string
	Scopes  []string
}

// Decide applies the one rule there is: the OS user that runs the agent may
// have what its profiles have. Root has no special right, and a caller whom
// the kernel does not name is refused.
func Decide(r Request) Ruling {
	switch {
	case !r.Caller.Known:
		return refuse(CallerUnknown)
	case int64(r.Caller.UID) != int64(r.AgentUID):
		return refuse(OtherUser)
	case len(r.Scopes) == 0:
		return allow(r.Profile.Scopes)
	case len(r.Profile.Scopes) > 0 && !Covers(r.Profile.Scopes, r.Scopes):
		return refuse(ScopeNotInBounds)
	}
	return allow(r.Scopes)
}

func allow(scopes []string) Ruling {
	return Ruling{Allowed: true, Rule: RuleSameUser, Scopes: scopes}
}

func refuse(reason string) Ruling { return Ruling{Reason: reason} }
