package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"keytender/vault/egress"
)

// wellKnown is OpenID Connect Discovery 1.0 §4: below the issuer.
const wellKnown = "/.well-known/openid-configuration"

// oauthDocument is RFC 8414 §3.1: between the issuer's host and its path.
func oauthDocument(issuer *url.URL) string {
	return egress.Origin(issuer) + "/.well-known/oauth-authorization-server" + strings.TrimRight(issuer.EscapedPath(), "/")
}

// document is what a discovery document says that matters here.
type document struct {
	Issuer        string   `json:"issuer"`
	TokenEndpoint string   `json:"token_endpoint"`
	Grants        []string `json:"grant_types_supported"` // nil if it lists none
}

// noDocument says that a server answered, but not with a discovery document.
type noDocument struct{ url, reason string }

func (e *noDocument) Error() string { return e.url + " " + e.reason }

// document asks for a discovery document. A *noDocument leaves room to ask
// elsewhere; a *ResolveError does not.
func (s *search) document(ctx context.Context, from string) (document, error) {
	status, isHTML, body, err := s.get(ctx, from)
	switch {
	case err != nil:
		return document{}, err
	case status != http.StatusOK:
		return document{}, &noDocument{from, fmt.Sprintf("answered %d", status)}
	case isHTML:
		return document{}, &noDocument{from, "answered with a web page"}
	}
	var doc document
	if json.Unmarshal(body, &doc) != nil || doc.Issuer == "" || doc.TokenEndpoint == "" {
		return document{}, &noDocument{from, "answered with something else than a discovery document"}
	}
	return doc, nil
}

// get asks from and reads the whole answer. No answer, 5xx and 429 are a
// *ResolveError.
func (s *search) get(ctx context.Context, from string) (status int, isHTML bool, body []byte, err error) {
	s.asked = append(s.asked, from)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return 0, false, nil, s.refuse("the address to ask is not a URL", "check the addresses of the profile")
	}
	request.Header.Set("Accept", "application/json")
	answer, err := s.client.http.Do(request)
	if err == nil {
		defer answer.Body.Close()
		body, err = io.ReadAll(answer.Body)
	}
	if err != nil {
		what, todo := egress.Explain(err)
		return 0, false, nil, &ResolveError{Kind: kindOf(err), What: what, Asked: s.asked, Todo: todo, Err: err}
	}
	now, date := s.client.wall(), egress.Date(answer.Header)
	if !date.IsZero() {
		s.skew = date.Sub(now)
	}
	if answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests {
		return 0, false, nil, &ResolveError{Kind: Unavailable, Asked: s.asked,
			What: fmt.Sprintf("%s answered %d", from, answer.StatusCode), Todo: "try again later",
			RetryAfter: egress.RetryAfter(answer.Header, now)}
	}
	return answer.StatusCode, egress.IsHTML(answer.Header), body, nil
}

// issuerOf checks a document's issuer, which OpenID Connect Discovery 1.0 §3 lets
// have neither query nor fragment.
func issuerOf(doc document) (*url.URL, error) {
	issuer, err := egress.CheckURL(doc.Issuer)
	if err != nil {
		return nil, fmt.Errorf("its issuer: %w", err)
	}
	return issuer, nil
}

// endpointOf checks a document's token endpoint. RFC 6749 §3.2 lets it have a
// query; here it may have none, for neither the profile that names it nor the
// origin that its secret is bound to can tell one query from another.
func endpointOf(doc document) (*url.URL, error) {
	if strings.Contains(doc.TokenEndpoint, "?") {
		return nil, errors.New("its token endpoint has a query (?), which is not supported")
	}
	endpoint, err := egress.CheckURL(doc.TokenEndpoint)
	if err != nil {
		return nil, fmt.Errorf("its token endpoint: %w", err)
	}
	return endpoint, nil
}

// listed shows the grants of a document.
func listed(grants []string) string {
	if len(grants) == 0 {
		return "none"
	}
	return strings.Join(harmless(grants), ", ")
}

// harmless keeps of a server's grants what has a grant's letters, and not too many.
func harmless(grants []string) []string {
	var kept []string
	for _, g := range grants {
		foreign := func(r rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/", r)
		}
		if g != "" && len(g) <= 80 && !strings.ContainsFunc(g, foreign) && len(kept) < 20 {
			kept = append(kept, g)
		}
	}
	return kept
}
