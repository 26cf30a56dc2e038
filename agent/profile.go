package agent

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"keytender/agent/api"
	"keytender/agent/internal/orchestrator"
	"keytender/agent/internal/policy"
	"keytender/agent/internal/session"
	"keytender/vault/egress"
)

// The kinds of profile that this version knows.
const (
	kindRobot = "robot" // client credentials of a machine object
	kindApp   = "app"   // client credentials of a confidential external application
)

// robotScope is what a machine object's credentials ask for when the profile
// names no scope; seen in one reimplementation only, so "scopes" overrides it.
const robotScope = "OrchestratorApiUserAccess"

// profile is one identity that the machine has. Declared and paired profiles
// have the same fields and the same checks; the JSON form is the state's.
type profile struct {
	Name          string      `json:"name"`
	Kind          string      `json:"kind"`
	URL           string      `json:"url,omitempty"`
	Edition       string      `json:"edition,omitempty"`
	ClientID      string      `json:"client_id,omitempty"`
	ClientIDFrom  string      `json:"client_id_from,omitempty"` // fromEntry, or empty
	Identity      string      `json:"identity,omitempty"`
	TokenEndpoint string      `json:"token_endpoint,omitempty"` // confirmed by a person
	Scopes        []string    `json:"scopes,omitempty"`
	Audience      string      `json:"audience,omitempty"`
	TokenLifetime string      `json:"token_lifetime,omitempty"` // where a reply tells none
	Tenant        string      `json:"tenant,omitempty"`
	Folder        string      `json:"folder,omitempty"`
	Store         string      `json:"store,omitempty"`   // a name of config.yaml or a scheme; empty: the default
	Entry         string      `json:"entry,omitempty"`   // where in the store the secret rests
	Adopted       bool        `json:"adopted,omitempty"` // the entry was there before the pairing, and outlives it
	Home          string      `json:"home,omitempty"`    // the store as it was at the pairing
	Wrote         string      `json:"wrote,omitempty"`   // HMAC of what was last written into a shared entry of ours
	AuthConfig    *AuthConfig `json:"auth_config,omitempty"`

	Source   string    `json:"-"`
	Found    endpoint  `json:"found,omitzero"` // as the pairing found it
	SecretAt time.Time `json:"secret_at,omitzero"`

	address  *orchestrator.Address
	lifetime time.Duration
	key      session.Key // of a request that names no scope
}

// endpoint is where an Identity Server takes the secret, and who said so.
type endpoint struct {
	Issuer        string `json:"issuer"`
	TokenEndpoint string `json:"token_endpoint"`
	Step          string `json:"step"`
}

// fieldError is a wrong field of a profile, for the form that sent it.
type fieldError struct {
	field string
	err   error
}

func (e *fieldError) Error() string { return e.field + ": " + e.err.Error() }
func (e *fieldError) Unwrap() error { return e.err }

func wrong(field, format string, args ...any) error {
	return &fieldError{field, fmt.Errorf(format, args...)}
}

// declared is the profile that config.yaml declares under name. Where it is
// wrong, field says which key.
func declared(name string, p ProfileConfig, c Config) (_ *profile, field string, _ error) {
	made := &profile{
		Name: name, Kind: p.Kind, URL: p.URL, Edition: p.Edition, ClientID: p.ClientID, ClientIDFrom: p.ClientIDFrom,
		Identity: p.Identity, TokenEndpoint: p.TokenEndpoint, Scopes: p.Scopes, Audience: p.Audience,
		TokenLifetime: p.TokenLifetime, Tenant: p.Tenant, Folder: p.Folder,
		AuthConfig: p.AuthConfig, Source: api.SourceDeclared, Entry: "declared/" + name,
	}
	if p.Secret != "" {
		store, entry, ok := strings.Cut(p.Secret, "/")
		if _, known := c.Stores[store]; !ok || !known {
			return nil, "secret", fmt.Errorf("%q: STORE/ENTRY, with a store that stands under stores", p.Secret)
		}
		if err := c.Stores[store].CheckName(entry); err != nil {
			return nil, "secret", err
		}
		made.Store, made.Entry, made.Adopted = store, entry, c.Stores[store].Shared()
	}
	if err := made.settle(); err != nil {
		if f, ok := errors.AsType[*fieldError](err); ok {
			return nil, f.field, f.err
		}
		return nil, "", err
	}
	return made, "", nil
}

// paired is the profile that a pairing request describes.
func paired(p api.Pairing) (*profile, error) {
	if p.Version != 0 && p.Version != api.Version {
		return nil, wrong("version", `this agent reads "version": 1`)
	}
	made := &profile{
		Name: p.Name, Kind: p.Kind, URL: p.URL, Edition: p.Edition, ClientID: p.ClientID, ClientIDFrom: p.ClientIDFrom,
		Identity: p.Identity, TokenEndpoint: p.TokenEndpoint, Scopes: p.Scopes,
		Store: p.Store, Entry: p.Entry, Source: api.SourcePaired,
	}
	for key, value := range p.Settings {
		switch key {
		case "audience":
			made.Audience = value
		case "token_lifetime":
			made.TokenLifetime = value
		case "tenant":
			made.Tenant = value
		case "folder":
			made.Folder = value
		default:
			return nil, wrong("settings", "%q is no setting: audience, token_lifetime, tenant, folder", key)
		}
	}
	return made, made.settle()
}

// settle checks the fields and derives what they imply.
func (p *profile) settle() error {
	if err := policy.CheckName(p.Name); err != nil {
		return wrong("name", "%w", err)
	}
	if p.Kind != kindRobot && p.Kind != kindApp {
		return wrong("kind", "%q: this version knows the kinds robot and app", p.Kind)
	}
	if err := p.settleClient(); err != nil {
		return err
	}
	for _, check := range []func() error{p.settleAddress, p.settleIdentity, p.settleScopes, p.settleRest} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// fromEntry, as client_id_from, has the client id read from where the secret
// rests.
const fromEntry = "entry"

func (p *profile) settleClient() error {
	switch {
	case p.ClientIDFrom != "" && p.ClientIDFrom != fromEntry:
		return wrong("client_id_from", `%q: it can be "entry", the user name that rests with the secret`, p.ClientIDFrom)
	case p.ClientIDFrom != "" && p.ClientID != "":
		return wrong("client_id_from", "give client_id or client_id_from, not both")
	case p.ClientIDFrom == "" && !isClientID(p.ClientID):
		return wrong("client_id", "give the client id, as Orchestrator or Identity shows it")
	}
	return nil
}

func isClientID(s string) bool { return s != "" && len(s) <= 512 && printable(s) }

func (p *profile) settleAddress() error {
	if p.URL == "" {
		if p.Kind == kindRobot {
			return wrong("url", "give the address of the Orchestrator, such as https://cloud.uipath.com/acme/prod/orchestrator_")
		}
		if p.Identity == "" {
			return wrong("identity", "give the address of an Orchestrator (url) or of an OpenID provider (identity)")
		}
		return nil
	}
	address, err := orchestrator.ParseAs(p.URL, orchestrator.Edition(p.Edition))
	if err != nil {
		return wrong("url", "%w", err)
	}
	if p.Tenant != "" {
		address.Tenant = p.Tenant
	}
	p.address = &address
	return nil
}

func (p *profile) settleIdentity() error {
	if p.Identity != "" {
		if _, err := egress.CheckURL(p.Identity); err != nil {
			return wrong("identity", "%w", err)
		}
	}
	if p.TokenEndpoint != "" {
		if _, err := egress.CheckURL(p.TokenEndpoint); err != nil {
			return wrong("token_endpoint", "%w", err)
		}
	}
	return nil
}

func (p *profile) settleScopes() error {
	scopes, err := policy.Scopes(strings.Join(p.Scopes, " "))
	if err != nil {
		return wrong("scopes", "%w", err)
	}
	p.Scopes = scopes
	p.key = p.keyFor(p.asks())
	return nil
}

func (p *profile) settleRest() error {
	if p.TokenLifetime != "" {
		d, err := time.ParseDuration(p.TokenLifetime)
		if err != nil || d < time.Minute || d > 24*time.Hour {
			return wrong("token_lifetime", "%q: a time between 1m and 24h, such as 1h", p.TokenLifetime)
		}
		p.lifetime = d
	}
	fields := map[string]string{"audience": p.Audience, "tenant": p.Tenant, "folder": p.Folder, "store": p.Store}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if value := fields[name]; len(value) > 1024 || !printable(value) {
			return wrong(name, "letters, digits and signs on one line")
		}
	}
	return nil
}

// printable tells whether s has nothing that steers a terminal, ends a line or
// is not UTF-8.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError })
}

// asks is what a request without scope asks Identity for.
func (p *profile) asks() []string {
	if len(p.Scopes) == 0 && p.Kind == kindRobot {
		return []string{robotScope}
	}
	return p.Scopes
}

func (p *profile) keyFor(scopes []string) session.Key {
	return session.Key{Profile: p.Name, Subject: "machine", Scopes: session.Canonical(scopes), Audience: p.Audience}
}

// same reports whether q describes the same profile: equal but for what a
// pairing found out by itself.
func (p *profile) same(q *profile) bool {
	plain := func(p profile) profile {
		p.Source, p.Entry, p.Adopted, p.Home, p.Wrote, p.Found, p.SecretAt, p.address = "", "", false, "", "", endpoint{}, time.Time{}, nil
		if len(p.Scopes) == 0 {
			p.Scopes = nil
		}
		return p
	}
	return reflect.DeepEqual(plain(*p), plain(*q))
}

// sameClient reports whether tokens of p are tokens of q: the same but for where
// the secret rests.
func (p *profile) sameClient(q *profile) bool {
	a, b := *p, *q
	a.Store, b.Store = "", ""
	return a.same(&b)
}

// environment is what automations read where to go from.
func (p *profile) environment() map[string]string {
	if p.address == nil {
		return nil
	}
	env := p.address.Environment()
	if p.Folder != "" {
		env["UIPATH_FOLDER_PATH"] = p.Folder
	}
	return env
}
