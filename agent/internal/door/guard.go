package door

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"

	"keytender/agent/api"
)

// Header and its value prove that a request was not made by a web page: a
// page cannot send it across origins without asking first, and the doors
// never answer that question.
const (
	header      = "Keytender"
	headerValue = "1"
)

// guard refuses, before anything is looked up, what a web page, another host
// name (DNS rebinding) or a forwarder could have sent to a TCP door.
// What it refuses is counted and recorded nowhere else, so that nobody can
// fill a disk with it.
type guard struct {
	number  string // host and port in numbers
	name    string // the same as localhost
	refused *atomic.Uint64
}

func newGuard(at netip.AddrPort, refused *atomic.Uint64) *guard {
	_, port, _ := net.SplitHostPort(at.String())
	return &guard{number: at.String(), name: "localhost:" + port, refused: refused}
}

// check returns nil for a request that a local program can have meant for
// this door.
func (g *guard) check(r *http.Request) *api.Error {
	refusal := g.judge(r)
	if refusal != nil {
		g.refused.Add(1)
	}
	return refusal
}

func (g *guard) judge(r *http.Request) *api.Error {
	if !g.isOwn(r.Host) || !strings.HasPrefix(r.RequestURI, "/") {
		return &api.Error{Code: api.BadHost, Description: "the request is for another host than this door", Hint: "ask at the address of the door itself, by number or as localhost, with its port"}
	}
	if name := foreign(r.Header); name != "" {
		return &api.Error{Code: api.BadOrigin, Description: "the request comes from a web page or was forwarded (" + name + ")", Hint: "ask directly, from a local program"}
	}
	if sent := r.Header[header]; len(sent) != 1 || sent[0] != headerValue {
		return &api.Error{Code: api.MissingHeader, Description: "the header that local programs send is missing", Hint: `send the header "` + header + ": " + headerValue + `"`}
	}
	return nil
}

// isOwn compares exactly: no case folding, no default port, no final dot, no
// other spelling of the same address.
//
// localhost is no name that a stranger could lead here (RFC 6761 section 6.3),
// though at [::1] the same port may be another program's. A page of that one
// shares our origin, of which browsers tell: all since 2023 send
// "Sec-Fetch-Site: same-origin", and foreign refuses it. A client that goes
// there by itself never reaches us.
func (g *guard) isOwn(host string) bool { return host == g.number || host == g.name }

// foreign is the name of a header that only a browser or a forwarder sends,
// empty if there is none.
func foreign(h http.Header) string {
	for name, values := range h {
		switch name {
		case "Origin", "Referer", "Forwarded", "Via":
			return name
		case "Sec-Fetch-Site":
			for _, value := range values {
				if value != "none" {
					return name
				}
			}
		default:
			if strings.HasPrefix(name, "X-Forwarded-") {
				return "X-Forwarded-*"
			}
		}
	}
	return ""
}
