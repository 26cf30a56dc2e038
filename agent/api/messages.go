package api

import "time"

// Version is the version of the JSON messages.
const Version = 1

// TokenRequest asks the workload door for an access token.
type TokenRequest struct {
	Profile  string        // empty: the default profile, or the only one
	Scopes   []string      // empty: what the profile asks for by itself
	MinValid time.Duration // the token must be good for at least so long
	Wait     time.Duration // how long to wait for a person, at most 5 min
	Rejected string        // fingerprint of a token that a service has refused
}

// Token is an access token as a door hands it out. It prints without the
// token itself; read AccessToken at the call that sends it.
type Token struct {
	AccessToken string    `json:"access_token"`
	TokenType   string    `json:"token_type"`
	ExpiresIn   int64     `json:"expires_in"` // seconds from the answer
	ExpiresAt   time.Time `json:"expires_at"`
	Scope       string    `json:"scope"`
	Profile     string    `json:"profile"`
	Fingerprint string    `json:"fingerprint"`             // first 16 hex digits of the token's SHA-256
	MinValidMet *bool     `json:"min_valid_met,omitempty"` // false: valid, but for less than was asked
}

// States of the agent and of a profile.
const (
	StateReady    = "ready"
	StateNeedsYou = "needs_you"
	StateWorking  = "working"
	StateTrouble  = "trouble"
	StateLocked   = "locked"
)

// Sources of a profile.
const (
	SourceDeclared = "declared" // in config.yaml
	SourcePaired   = "paired"   // in the agent's state
)

// Profile is one identity as a caller may see it.
type Profile struct {
	Name           string     `json:"name"`
	Kind           string     `json:"kind"`
	Source         string     `json:"source"`
	State          string     `json:"state"`
	Default        bool       `json:"default,omitempty"`
	URL            string     `json:"url,omitempty"`
	Store          string     `json:"store"`
	Scopes         []string   `json:"scopes,omitempty"`
	ExpiresAt      *time.Time `json:"expires_at"`       // of the newest cached token
	RenewsAt       *time.Time `json:"renews_at"`        // when it is renewed, if in use
	PersonNeededAt *time.Time `json:"person_needed_at"` // never, for a machine's own credentials
	SecretAgeDays  *int       `json:"secret_age_days"`
	SecretPrevious bool       `json:"secret_previous,omitempty"` // the store's newest secret is refused; the one before is used
	Deprecated     string     `json:"deprecated"`
	LastError      *Error     `json:"last_error"`

	// Environment is what automations read where to go from: UIPATH_URL,
	// tenant and folder names. Never a token.
	Environment map[string]string `json:"environment,omitempty"`
}

// States of a store.
const (
	StoreOK          = "ok"
	StoreSlow        = "slow"        // it answers, and takes seconds to
	StoreSealed      = "sealed"      // it is there, and its operators must unseal it
	StoreRefused     = "refused"     // it does not let the agent in
	StoreUnreachable = "unreachable" // it does not answer, or cannot be read
	StoreLocked      = "locked"      // a person must unlock it
)

// StoreStatus tells how a store answered when it was last asked.
type StoreStatus struct {
	Name  string    `json:"name"`
	URL   string    `json:"url"`
	State string    `json:"state"`
	Since time.Time `json:"since"`
	Error *Error    `json:"error,omitempty"`
}

// AgentStatus is the agent's view of itself.
type AgentStatus struct {
	Version   string    `json:"version"`
	Mode      string    `json:"mode"` // user, machine
	State     string    `json:"state"`
	StartedAt time.Time `json:"started_at"`
	TCP       string    `json:"tcp"` // address of the TCP door, empty when off
	PID       int       `json:"pid"`
	TCPError  *Error    `json:"tcp_error,omitempty"` // why there is no TCP door
	Audit     *Error    `json:"audit,omitempty"`     // why no token can be given
}

// Status is the whole of what people see.
type Status struct {
	Version  int           `json:"version"`
	Agent    AgentStatus   `json:"agent"`
	Profiles []Profile     `json:"profiles"`
	Stores   []StoreStatus `json:"stores"`
	Prompts  []struct{}    `json:"prompts"` // no profile kind of this version needs a person
}

// Pairing is a request to pair a profile, and, less Secret and Replace, the
// pairing file of "keytender pair --from". It prints without its secret.
type Pairing struct {
	Version       int               `json:"version"`
	Name          string            `json:"name"`
	Kind          string            `json:"kind"`
	URL           string            `json:"url,omitempty"`
	ClientID      string            `json:"client_id,omitempty"`
	ClientIDFrom  string            `json:"client_id_from,omitempty"` // "entry": the user name that rests with the secret
	Identity      string            `json:"identity,omitempty"`
	TokenEndpoint string            `json:"token_endpoint,omitempty"` // confirms one on another origin
	Edition       string            `json:"edition,omitempty"`        // cloud, suite, standalone; empty: guessed from url
	Scopes        []string          `json:"scopes,omitempty"`
	Store         string            `json:"store,omitempty"`
	Entry         string            `json:"entry,omitempty"`    // in a shared store; without a secret: what rests there already is used
	Settings      map[string]string `json:"settings,omitempty"` // "--set KEY=VALUE": audience, token_lifetime, tenant, folder
	Secret        string            `json:"secret,omitempty"`
	Replace       bool              `json:"replace,omitempty"`
}

// Step is one finished step of a pairing.
type Step struct {
	Number int    `json:"step"`
	Of     int    `json:"of"`
	Text   string `json:"text"`
}

// PairResult is what a pairing came to.
type PairResult struct {
	Changed       bool     `json:"changed"` // false: the same pairing was there
	Profile       Profile  `json:"profile"`
	ResolvedBy    string   `json:"resolved_by,omitempty"` // which step found the Identity Server
	Issuer        string   `json:"issuer,omitempty"`
	TokenEndpoint string   `json:"token_endpoint,omitempty"` // where the secret is sent
	Warnings      []string `json:"warnings,omitempty"`
}

// SecretChange is the body of PUT /v1/admin/secrets/{name}.
type SecretChange struct {
	Secret string `json:"secret"`
}

// Migration is the body of POST /v1/admin/migrate/{name}.
type Migration struct {
	Store string `json:"store"`           // a name of config.yaml
	Entry string `json:"entry,omitempty"` // in a shared store; empty: the profile's name
}

// Moved tells what a migration came to.
type Moved struct {
	Changed bool     `json:"changed"` // false: the secret rests there already
	Profile Profile  `json:"profile"`
	Left    []string `json:"left,omitempty"` // what still holds the secret, and why
}

// Rotation is the body of POST /v1/admin/rotate/{name}.
type Rotation struct {
	With    string `json:"with"`               // the profile whose token may administer the secrets
	Old     string `json:"old,omitempty"`      // id of the secret in use; empty: found out where it can be
	KeepOld bool   `json:"keep_old,omitempty"` // the old secret stays valid
}

// Rotated tells what a rotation came to.
type Rotated struct {
	Changed  bool         `json:"changed"`
	Profile  Profile      `json:"profile"`
	Made     string       `json:"made"`              // id of the new secret
	Secrets  []SecretInfo `json:"secrets,omitempty"` // those that there are now, where the server tells
	Warnings []string     `json:"warnings,omitempty"`
}

// SecretInfo is what a server tells of a secret, which is never the secret.
type SecretInfo struct {
	ID        string     `json:"id"`
	AgeDays   *int       `json:"age_days"`
	ExpiresAt *time.Time `json:"expires_at"`
	InUse     bool       `json:"in_use"`
}

// Reloaded tells what a reload of config.yaml came to.
type Reloaded struct {
	Changed  []string `json:"changed"` // names of profiles that are new, gone or different
	Profiles int      `json:"profiles"`
}

// Results of a check.
const (
	CheckOK   = "ok"
	CheckWarn = "warn"
	CheckFail = "fail"
	CheckSkip = "skip" // could not be tried, because an earlier check failed
)

// Check is one thing that doctor looked at.
type Check struct {
	Name    string `json:"name"` // store, clock, tls, discovery, token, orchestrator, doors, audit, state
	Profile string `json:"profile,omitempty"`
	Result  string `json:"result"`
	Found   string `json:"found"`
	ToDo    string `json:"todo,omitempty"`
}

// Doctor is everything that doctor looked at, in order.
type Doctor struct {
	Checks []Check `json:"checks"`
}

// Worst is the worst result among the checks.
func (d Doctor) Worst() string {
	worst := CheckOK
	for _, c := range d.Checks {
		switch {
		case c.Result == CheckFail:
			return CheckFail
		case c.Result == CheckWarn:
			worst = CheckWarn
		}
	}
	return worst
}
