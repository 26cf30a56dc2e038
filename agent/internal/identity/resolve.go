package identity

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"keytender/agent/internal/orchestrator"
	"keytender/vault/egress"
)

// Question asks where a profile's secret may be sent.
type Question struct {
	Orchestrator  *orchestrator.Address // nil: there is none, so Identity is needed
	Identity      string                // issuer that a person named; "" to find it
	TokenEndpoint string                // confirmed by a person, for an endpoint on another origin
	Grant         string                // "client_credentials" if empty
	AuthConfig    *AuthConfig           // nil: the Orchestrator's own answer is not asked
}

// Resolution is where the secret goes, and how that is known. Its texts are
// printable ASCII.
type Resolution struct {
	Issuer        string        // its origin and path, without a slash at the end
	TokenEndpoint string        // a URL that egress.CheckURL lets pass
	Step          string        // which step of PROTOCOL.md §2 answered, for people
	Asked         []string      // the URLs that were asked, in order
	Warning       string        // one sentence, or ""
	Skew          time.Duration // the server's clock less ours; 0 if it showed none
}

// Resolve finds the authentication configuration in the order of PROTOCOL.md §2:
// the identity a person named, the Orchestrator's own answer where one is
// configured, discovery at the places where the edition has its Identity Server.
//
// With a named identity the issuer must equal it, a slash at the end of either
// left aside; a token endpoint on another origin is an *UnconfirmedError unless
// q.TokenEndpoint is that endpoint. Without one, issuer and token endpoint must
// have the Orchestrator's origin.
//
// The grant must be among those that the server lists. Where it is not, or where
// the server lists none (RFC 8414 §2 then means others), a named identity gets a
// Warning, for real servers omit it and the first token is the proof; a guessed
// one is an error. All errors but *UnconfirmedError are *ResolveError.
func (c *Client) Resolve(ctx context.Context, q Question) (Resolution, error) {
	if q.Grant == "" {
		q.Grant = "client_credentials"
	}
	s := &search{client: c, Question: q}
	switch {
	case q.Identity != "":
		return s.named(ctx)
	case q.Orchestrator == nil:
		return Resolution{}, s.refuse("no Identity Server is named and there is no Orchestrator to find it by", "name it with --identity")
	case q.AuthConfig != nil:
		return s.told(ctx)
	}
	return s.guessed(ctx)
}

// search is one Resolve under way.
type search struct {
	Question
	client  *Client
	asked   []string
	skew    time.Duration
	warning string
}

// named is the step of an identity that a person named. Where it has no OpenID
// discovery document, the one of RFC 8414 §3.1 is asked.
func (s *search) named(ctx context.Context) (Resolution, error) {
	identity, err := egress.CheckURL(s.Identity)
	if err != nil {
		return Resolution{}, s.refuse("the identity address: "+err.Error(), "name the issuer of the Identity Server, such as https://host/identity_")
	}
	doc, err := s.document(ctx, place(identity)+wellKnown)
	if missing, ok := errors.AsType[*noDocument](err); ok {
		if doc, err = s.document(ctx, oauthDocument(identity)); err != nil {
			return Resolution{}, s.nothing([]*noDocument{missing}, err)
		}
	}
	if err != nil {
		return Resolution{}, err
	}
	issuer, err := issuerOf(doc)
	if err != nil {
		return Resolution{}, s.refuse(s.last()+": "+err.Error(), "ask the administrator of the Identity Server")
	}
	if place(issuer) != place(identity) {
		return Resolution{}, s.refuse(fmt.Sprintf("%s names another issuer, at %s", s.last(), egress.Origin(issuer)),
			"look at that document: if its issuer is the one you mean, name it with --identity; if not, do not pair")
	}
	endpoint, err := endpointOf(doc)
	if err != nil {
		return Resolution{}, s.refuse(s.last()+": "+err.Error(), "ask the administrator of the Identity Server")
	}
	if egress.Origin(endpoint) != egress.Origin(identity) && !confirmed(s.TokenEndpoint, endpoint) {
		return Resolution{}, &UnconfirmedError{Identity: place(identity), TokenEndpoint: endpoint.String()}
	}
	if !slices.Contains(doc.Grants, s.Grant) {
		s.warning = fmt.Sprintf("%s does not list %s (it lists %s): the first token is the proof", s.last(), s.Grant, listed(doc.Grants))
	}
	return s.resolution(issuer, endpoint, "explicit identity"), nil
}

// guessed is the step of discovery where the edition has its Identity Server.
func (s *search) guessed(ctx context.Context) (Resolution, error) {
	var missing []*noDocument
	for _, base := range s.Orchestrator.IdentityBases() {
		doc, err := s.document(ctx, base+wellKnown)
		if m, ok := errors.AsType[*noDocument](err); ok {
			missing = append(missing, m)
			continue
		}
		if err != nil {
			return Resolution{}, err
		}
		return s.local(doc, "discovery at "+s.last(), false)
	}
	return Resolution{}, s.nothing(missing, nil)
}

// local accepts a document that nobody named: all of it has the Orchestrator's
// origin. granted tells that the Orchestrator itself confirmed the grant.
func (s *search) local(doc document, step string, granted bool) (Resolution, error) {
	endpoint, err := endpointOf(doc)
	if err != nil {
		return Resolution{}, s.refuse(s.last()+": "+err.Error(), "name the right Identity Server with --identity")
	}
	issuer, err := issuerOf(doc)
	if err != nil {
		return Resolution{}, s.refuse(s.last()+": "+err.Error(), "name the right Identity Server with --identity")
	}
	if egress.Origin(issuer) != s.Orchestrator.Origin {
		return Resolution{}, s.refuse(fmt.Sprintf("%s says that its issuer is at %s, which is not the Orchestrator's server", s.last(), egress.Origin(issuer)),
			"look at that document: if that is right, name its issuer with --identity")
	}
	if egress.Origin(endpoint) != s.Orchestrator.Origin {
		return Resolution{}, s.refuse(fmt.Sprintf("%s would send the secret to %s, which is not the Orchestrator's server", s.last(), egress.Origin(endpoint)),
			"if that is right, name the Identity Server with --identity")
	}
	if !granted && !slices.Contains(doc.Grants, s.Grant) {
		refused := s.refuse(fmt.Sprintf("%s does not list %s (it lists %s)", s.last(), s.Grant, listed(doc.Grants)),
			"if this is the right Identity Server, name it with --identity")
		refused.Grants = harmless(doc.Grants)
		return Resolution{}, refused
	}
	return s.resolution(issuer, endpoint, step), nil
}

func (s *search) resolution(issuer, endpoint *url.URL, step string) Resolution {
	return Resolution{Issuer: place(issuer), TokenEndpoint: endpoint.String(), Step: step, Asked: s.asked, Warning: s.warning, Skew: s.skew}
}

// last is the URL that was asked last.
func (s *search) last() string { return s.asked[len(s.asked)-1] }

func (s *search) refuse(what, todo string) *ResolveError {
	return &ResolveError{Kind: Refused, What: what, Asked: s.asked, Todo: todo}
}

// nothing is the error after every place was asked in vain; last is the error of
// the last one if it is not among missing.
func (s *search) nothing(missing []*noDocument, last error) error {
	if m, ok := errors.AsType[*noDocument](last); ok {
		missing = append(missing, m)
	} else if last != nil {
		return last
	}
	var reasons []string
	for _, m := range missing {
		reasons = append(reasons, m.Error())
	}
	return &ResolveError{Kind: Broken, Asked: s.asked,
		What: "no Identity Server was found: " + strings.Join(reasons, "; "),
		Todo: "check the address; if the Identity Server is elsewhere, name it with --identity"}
}

// place is what two spellings of one issuer share: origin and path without the
// slash at its end.
func place(u *url.URL) string {
	return egress.Origin(u) + strings.TrimRight(u.EscapedPath(), "/")
}

// confirmed tells whether a person named exactly this endpoint.
func confirmed(named string, endpoint *url.URL) bool {
	u, err := egress.CheckURL(named)
	return err == nil && u.String() == endpoint.String()
}
