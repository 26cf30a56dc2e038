// Package orchestrator knows where things are in an Orchestrator deployment, the
// harmless calls that show whether it accepts a token, and how the secrets of
// machine objects and external applications are administered.
package orchestrator

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"keytender/vault/egress"
)

// Edition is how an Orchestrator is deployed; it decides where its parts are.
type Edition string

// The editions. The empty one means: guess.
const (
	Cloud      Edition = "cloud"      // Automation Cloud: https://cloud.uipath.com/{org}/{tenant}/orchestrator_
	Suite      Edition = "suite"      // Automation Suite: https://{host}/{org}/{tenant}/orchestrator_
	Standalone Edition = "standalone" // https://{host}, the tenant in a header
)

// Address is a parsed service URL. Its zero value is no address.
type Address struct {
	Raw     string // as it was given
	Origin  string // scheme, host and port, printable ASCII
	Base    string // of Orchestrator's own calls, without a slash at its end, printable ASCII
	Org     string // Cloud and Suite; decoded, so of any script, and printable
	Tenant  string // Cloud and Suite; for Standalone the caller may set it, for the tenant header
	Edition Edition
}

// service ends the path of Orchestrator among an organization's services. It
// can be left out of a service URL.
const service = "orchestrator_"

// maxBase leaves room for what is appended within the 2 KiB that egress allows.
const maxBase = 1 << 10

// Parse reads a service URL and guesses the edition: a host at or below
// uipath.com is Cloud, a path of organization and tenant is Suite, anything else
// Standalone. A gateway can fool the guess: see ParseAs.
func Parse(raw string) (Address, error) { return ParseAs(raw, "") }

// ParseAs is Parse for a known edition. A Standalone address keeps any path it
// has, as an Orchestrator behind a gateway needs; Cloud and Suite want exactly
// organization and tenant. Errors do not repeat raw.
func ParseAs(raw string, edition Edition) (Address, error) {
	u, err := egress.CheckURL(raw)
	if err != nil {
		return Address{}, fmt.Errorf("the Orchestrator address: %w", err)
	}
	path, err := segments(u)
	if err != nil {
		return Address{}, fmt.Errorf("the Orchestrator address: %w", err)
	}
	named := len(path) > 0 && strings.EqualFold(path[len(path)-1], service)
	if named {
		path = path[:len(path)-1]
	}
	if edition == "" {
		edition = guess(u.Hostname(), path, named)
	}
	a := Address{Raw: raw, Origin: egress.Origin(u), Edition: edition}
	switch edition {
	case Cloud, Suite:
		if len(path) != 2 {
			return Address{}, errors.New("the Orchestrator address must name organization and tenant: https://host/ORGANIZATION/TENANT/orchestrator_")
		}
		a.Org, a.Tenant = path[0], path[1]
		a.Base = a.root() + "/" + service
	case Standalone:
		if named {
			path = append(path, service)
		}
		a.Base = a.Origin + join(path)
	default:
		return Address{}, fmt.Errorf("the edition %+q is not one of cloud, suite, standalone", edition)
	}
	if len(a.Base) > maxBase {
		return Address{}, errors.New("the Orchestrator address is longer than 1 KiB")
	}
	return a, nil
}

// guess follows PROTOCOL.md §1.
func guess(host string, path []string, named bool) Edition {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	switch {
	case host == "uipath.com" || strings.HasSuffix(host, ".uipath.com"):
		return Cloud
	case len(path) >= 2 || named:
		return Suite
	}
	return Standalone
}

// segments are the decoded parts of a path, empty ones at its end left out.
func segments(u *url.URL) ([]string, error) {
	trimmed := strings.Trim(u.EscapedPath(), "/")
	if trimmed == "" {
		return nil, nil
	}
	parts := strings.Split(trimmed, "/")
	for i, part := range parts {
		decoded, err := url.PathUnescape(part)
		if err != nil || decoded == "" || decoded == "." || decoded == ".." ||
			strings.ContainsAny(decoded, `/\`) || !utf8.ValidString(decoded) || strings.ContainsFunc(decoded, unprintable) {
			return nil, errors.New("the path is not one of names")
		}
		parts[i] = decoded
	}
	return parts, nil
}

// unprintable tells whether c could hide something where a name is shown:
// control characters, and what changes the direction of a text.
func unprintable(c rune) bool { return !unicode.IsPrint(c) }

func join(path []string) string {
	var b strings.Builder
	for _, part := range path {
		b.WriteString("/" + url.PathEscape(part))
	}
	return b.String()
}

// root is the address without the service, as the vendor's own tools take it.
func (a Address) root() string {
	if a.Edition == Standalone {
		return a.Base
	}
	return a.Origin + join([]string{a.Org, a.Tenant})
}

// IdentityBases lists where the Identity Server can be, in the order to be
// asked. All have the Orchestrator's origin.
//
// On Cloud the host level comes first: it is where a user's sign-in has to begin
// (the organization's level breaks federated users), tokens are issued at both,
// and so a robot and a user of one machine agree on the issuer.
func (a Address) IdentityBases() []string {
	switch a.Edition {
	case Cloud:
		return []string{a.Origin + "/identity_", a.Origin + join([]string{a.Org}) + "/identity_"}
	case Suite:
		return []string{a.Origin + "/identity_"}
	case Standalone:
		if a.Base != a.Origin {
			return []string{a.Base + "/identity", a.Origin + "/identity"}
		}
		return []string{a.Origin + "/identity"}
	}
	return nil
}

// IdentityAdmin is where the administration of Identity is, which for Cloud and
// Suite is at the organization's level: newer organizations know no other. An
// identity that a person named wins, but for the Cloud's at the host's level:
// that is what everybody names, for sign-in begins there. Older Suites may want
// theirs at the host's level named.
func (a Address) IdentityAdmin(identity string) string {
	identity = strings.TrimRight(identity, "/")
	cloud := a.Edition == Cloud && strings.EqualFold(identity, a.Origin+"/identity_")
	if identity != "" && !cloud {
		return identity
	}
	switch a.Edition {
	case Cloud, Suite:
		return a.Origin + join([]string{a.Org}) + "/identity_"
	case Standalone:
		return a.IdentityBases()[0]
	}
	return ""
}

// header is the tenant as a header names it; "" where the path does.
func (a Address) header() string {
	if a.Edition == Standalone {
		return a.Tenant
	}
	return ""
}

// Environment is what automations read to find the Orchestrator (PROTOCOL.md
// §8). UIPATH_URL goes without the service, which the vendor's tools append.
func (a Address) Environment() map[string]string {
	env := map[string]string{"UIPATH_URL": a.root()}
	if a.Tenant != "" {
		env["UIPATH_TENANT_NAME"] = a.Tenant
	}
	return env
}
