package identity

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"keytender/vault"
	"keytender/vault/egress"
)

// Kind tells what an error means for the next attempt.
type Kind string

const (
	// Refused: the server said no, or a rule of ours does. The same again gets the same.
	Refused Kind = "refused"
	// Unavailable: network, time limit, 5xx, 429. Later may be better.
	Unavailable Kind = "unavailable"
	// Broken: what answered does not speak OAuth, or an answer that cannot be used.
	Broken Kind = "broken"
)

// Error is why there is no token. It holds neither secret nor token, and of the
// server's own words only Code.
type Error struct {
	Code       string // RFC 6749 §5.2 and extensions, [a-z_]{1,64}; "" if the server gave none
	Kind       Kind
	Status     int           // HTTP status; 0 if there was no answer
	RetryAfter time.Duration // as the server asked; 0 if it did not
	What       string        // a sentence for people
	Todo       string        // what they can do
	Err        error         // of the network; nil if the server answered
}

func (e *Error) Error() string {
	text := e.What
	if e.Code != "" {
		text += " (" + e.Code + ")"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// ResolveError is why it is not known where the secret may be sent.
type ResolveError struct {
	Kind   Kind
	What   string
	Asked  []string // the URLs that were asked, in order
	Grants []string // what the server lists, made harmless
	Todo   string

	RetryAfter time.Duration // as the server asked; 0 if it did not
	Err        error         // of the network, else nil
}

func (e *ResolveError) Error() string {
	if e.Err != nil {
		return e.What + ": " + e.Err.Error()
	}
	return e.What
}

func (e *ResolveError) Unwrap() error { return e.Err }

// UnconfirmedError says that a server's token endpoint, to which the secret would
// be sent, is on another origin than the identity that a person named. That
// person confirms it by naming it in Question.TokenEndpoint.
type UnconfirmedError struct{ Identity, TokenEndpoint string }

func (e *UnconfirmedError) Error() string {
	return fmt.Sprintf("%s sends secrets to another server: %s: confirm it, or name it with --token-endpoint", e.Identity, e.TokenEndpoint)
}

// unanswered is the error of an exchange that brought no complete answer.
func unanswered(err error) *Error {
	what, todo := egress.Explain(err)
	return &Error{Kind: kindOf(err), What: what, Todo: todo, Err: err}
}

// kindOf sorts the errors of an egress client.
func kindOf(err error) Kind {
	_, redirect := errors.AsType[*egress.RedirectError](err)
	_, large := errors.AsType[*egress.TooLargeError](err)
	_, garbled := errors.AsType[*egress.GarbledError](err)
	_, plaintext := errors.AsType[*egress.PlaintextError](err)
	if redirect || large || garbled || plaintext || errors.Is(err, io.ErrUnexpectedEOF) {
		return Broken
	}
	return Unavailable
}

// codeOf lets an OAuth error code through, and nothing that only looks like one
// because a server sent the secret back.
func codeOf(code string, secret vault.Secret) string {
	foreign := func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }
	if len(code) > 64 || strings.ContainsFunc(code, foreign) {
		return ""
	}
	if strings.Contains(code, secret.Reveal()) {
		return ""
	}
	return code
}
