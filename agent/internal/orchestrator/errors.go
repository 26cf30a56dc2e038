package orchestrator

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"keytender/vault/egress"
)

// Kind tells what an error of an administration means for the next attempt.
type Kind string

const (
	// Denied: the token is known and lacks the scope that the error names, or the
	// client behind it a role.
	Denied Kind = "denied"
	// NotFound: there is no such machine object, application or secret.
	NotFound Kind = "not_found"
	// Refused: the server said no for another reason, or we did before anything was
	// sent. The same again gets the same.
	Refused Kind = "refused"
	// Unavailable: network, time limit, 5xx, 429. Later may be better.
	Unavailable Kind = "unavailable"
	// Broken: something else answered, or an answer that cannot be used.
	Broken Kind = "broken"
)

// SecretsError is why a secret was not listed, made or deleted. It holds neither
// secret nor token, and nothing of what the server sent.
type SecretsError struct {
	Kind       Kind
	Status     int           // HTTP status; 0 if there was no answer
	Scope      string        // that is missing, if Denied
	Unsure     bool          // it may have been made or deleted all the same
	RetryAfter time.Duration // as the server asked; 0 if it did not
	What       string        // a sentence for people
	Todo       string        // what they can do
	Err        error         // of the network; nil if the server answered
}

func (e *SecretsError) Error() string {
	if e.Err != nil {
		return e.What + ": " + e.Err.Error()
	}
	return e.What
}

func (e *SecretsError) Unwrap() error { return e.Err }

// mistake is why nothing is sent, and what can be done about it.
type mistake struct{ what, todo string }

func (m *mistake) Error() string { return m.what }

var (
	errNoIdentity  = &mistake{"it is not known where that is", "name its address as identity of the profile"}
	errNoClientID  = &mistake{"the client id is not one of letters, digits, -, _ and .", "check the client id of the profile"}
	errNoPartition = &mistake{
		"the token names no organization: it is no JWT with a prt_id",
		"let a profile administer that gets its tokens from this Identity Server; a personal access token does not do",
	}
	errNoID = &mistake{"the id of the secret is not a number", "list the secrets: each has its id"}
)

// unsent is the error of a call that was not made.
func (s Secrets) unsent(cause error) *SecretsError {
	e := &SecretsError{Kind: Refused, What: fmt.Sprintf("%s was not asked: %v", s.server, cause), Todo: s.check("url and identity")}
	if m, ok := errors.AsType[*mistake](cause); ok {
		e.Todo = m.todo
	}
	return e
}

// broken is the error of a good answer with nothing good in it.
func (s Secrets) broken(status int, what string) *SecretsError {
	return &SecretsError{
		Kind: Broken, Status: status, What: s.said(what, status),
		Todo: s.check("url and identity") + "; a proxy may stand before it",
	}
}

// unanswered is the error of a call that brought no complete answer.
func unanswered(method string, err error) *SecretsError {
	what, todo := egress.Explain(err)
	kind := Unavailable
	_, redirect := errors.AsType[*egress.RedirectError](err)
	_, large := errors.AsType[*egress.TooLargeError](err)
	_, garbled := errors.AsType[*egress.GarbledError](err)
	_, plaintext := errors.AsType[*egress.PlaintextError](err)
	if redirect || large || garbled || plaintext {
		kind = Broken
	}
	return &SecretsError{Kind: kind, Unsure: changes(method) && !neverLeft(err), What: what, Todo: todo, Err: err}
}

// neverLeft tells whether there was no connection on which a request could go.
func neverLeft(err error) bool {
	network, ok := errors.AsType[*net.OpError](err)
	dialling := ok && (network.Op == "dial" || network.Op == "proxyconnect")
	_, plaintext := errors.AsType[*egress.PlaintextError](err)
	_, certificate := errors.AsType[*egress.CertificateError](err)
	_, handshake := errors.AsType[*egress.HandshakeError](err)
	_, proxy := errors.AsType[*egress.ProxyError](err)
	return dialling || plaintext || certificate || handshake || proxy
}

func changes(method string) bool { return method != http.MethodGet }

// refusal makes an error of an answer that is none of the good ones.
func (s Secrets) refusal(method string, status int, header http.Header) *SecretsError {
	e := &SecretsError{Kind: Refused, Status: status}
	no := 400 <= status && status < 500 && status != http.StatusRequestTimeout
	e.Unsure = changes(method) && !no
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500:
		e.Kind, e.RetryAfter = Unavailable, egress.RetryAfter(header, time.Now())
		e.What, e.Todo = s.said("cannot answer now", status), "try again later"
	case egress.IsHTML(header):
		e.Kind = Broken
		e.What, e.Todo = s.said("answered with a web page", status), s.check("url and identity")+"; a proxy or gateway may stand before it"
	case status == http.StatusUnauthorized:
		e.What, e.Todo = s.said("refused the token", status), "check that the profile that administers belongs to the same deployment, and this machine's clock"
	case status == http.StatusForbidden:
		e.Kind, e.Scope = Denied, s.Scope
		e.What = s.said("does not let this token administer the secrets of a "+s.noun, status)
		e.Todo = "give the profile that administers the scope " + s.Scope + ", which its .Read alone does not cover, and where roles decide, the right to edit"
	case status == http.StatusNotFound:
		e.Kind = NotFound
		e.What, e.Todo = s.said("knows no "+s.noun+" with this client id", status), s.check("client id, url and identity")
		if method == http.MethodDelete {
			e.What, e.Todo = s.said("knows no such secret", status), "list the secrets: it may be gone already"
		}
	case no && status != http.StatusMethodNotAllowed:
		e.What, e.Todo = s.said("refused the request", status), s.check("client id and identity")+"; an organization can limit how many secrets there are and how long they live"
	default:
		e.Kind = Broken
		e.What, e.Todo = s.said("does not administer secrets there", status), s.check("url and identity")
	}
	return e
}

// check names what a person can check, and what it led to.
func (s Secrets) check(settings string) string {
	return fmt.Sprintf("check %s of the profile, which lead to %s", settings, s.base)
}

func (s Secrets) said(what string, status int) string {
	return fmt.Sprintf("%s %s (%d)", s.server, what, status)
}
