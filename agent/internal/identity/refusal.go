package identity

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"keytender/vault/egress"
)

// refusal makes an Error of an answer that was no token. cause is x/oauth2's;
// only the code in it is used. 400 and 401 mean the same.
func (e *exchange) refusal(r Request, server string, cause error, now time.Time) *Error {
	refused := &Error{Kind: Broken, Status: e.status}
	if said, ok := errors.AsType[*oauth2.RetrieveError](cause); ok {
		refused.Code = codeOf(said.ErrorCode, r.Secret)
	}
	switch {
	case e.status == http.StatusTooManyRequests, e.status == http.StatusRequestTimeout, e.status >= 500,
		refused.Code == "temporarily_unavailable", refused.Code == "server_error":
		refused.Kind = Unavailable
		refused.RetryAfter = egress.RetryAfter(e.header, now)
		refused.What = fmt.Sprintf("%s cannot answer now (%d)", server, e.status)
		refused.Todo = "nothing: it is asked again by itself"
	case refused.Code != "":
		refused.Kind = Refused
		refused.What, refused.Todo = advice(refused.Code, server, r.Scopes)
	case egress.IsHTML(e.header):
		refused.What = fmt.Sprintf("%s answered with a web page (%d)", server, e.status)
		refused.Todo = "a proxy or gateway may stand before it: check the address"
	case e.status == http.StatusBadRequest, e.status == http.StatusUnauthorized, e.status == http.StatusForbidden:
		refused.Kind = Refused
		refused.What = fmt.Sprintf("%s refused the request and gave no reason (%d)", server, e.status)
		refused.Todo = "check client id, secret and scopes"
	case e.status >= 300:
		refused.What = fmt.Sprintf("%s has no token endpoint there (%d)", server, e.status)
		refused.Todo = "check the address of the Identity Server"
	default:
		refused.What = server + " answered with something else than a token"
		refused.Todo = "check the address of the Identity Server; a proxy may stand before it"
	}
	return refused
}

// advice says what a code of RFC 6749 §5.2 means here, to somebody who wants to
// go home.
func advice(code, server string, scopes []string) (what, todo string) {
	switch code {
	case "invalid_client":
		return server + " does not accept this client id with this secret",
			"copy both again from the machine object or the external application; secrets can expire or be deleted"
	case "invalid_scope":
		asked := "no scope was asked for"
		if len(scopes) > 0 {
			asked = "asked for: " + strings.Join(scopes, " ")
		}
		return server + " does not know a scope, or does not give it to this client",
			asked + "; a machine object's credentials get OrchestratorApiUserAccess, an application only what it was registered with as application scopes"
	case "unauthorized_client", "unsupported_grant_type":
		return server + " does not let this client use client credentials",
			"use a machine object, or a confidential external application with application scopes"
	case "invalid_target":
		return server + " does not know the audience", "check the audience of the profile"
	case "invalid_grant", "access_denied":
		return server + " does not give this client a token", "check that the machine object or application is enabled"
	}
	return server + " refused the request", "check client id, secret and scopes"
}
