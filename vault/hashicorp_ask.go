package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"

	"keytender/vault/egress"
)

// request is one question about an entry or the mount.
type request struct {
	op     string // for errors: "read invoices"
	method string // GET, PUT or DELETE
	path   string // below /v1/, not escaped
	body   []byte
}

func (q request) send(ctx context.Context, c *api.Client) (*api.Secret, error) {
	switch q.method {
	case http.MethodPut:
		return c.Logical().WriteBytesWithContext(ctx, q.path, q.body)
	case http.MethodDelete:
		return c.Logical().DeleteWithContext(ctx, q.path)
	}
	return c.Logical().ReadWithContext(ctx, q.path)
}

// right is what a policy must give for the question.
func (q request) right() string {
	return map[string]string{http.MethodGet: `"read"`, http.MethodPut: `"create" and "update"`, http.MethodDelete: `"delete"`}[q.method]
}

// ask puts a question. The answer is nil where the server has nothing.
func (h *hashicorp) ask(ctx context.Context, q request) (*api.Secret, error) {
	answer, err := h.try(ctx, q)
	return answer, h.told(ctx, q, err)
}

// try is ask with the errors as they came. If the server no longer knows the
// login, it logs in and asks once more, and again if a new login was so short
// that it was over before it was used; ctx bounds that.
func (h *hashicorp) try(ctx context.Context, q request) (*api.Secret, error) {
	for lost := (*standing)(nil); ; {
		s, fresh, err := h.enter(ctx, lost)
		if err != nil {
			return nil, err
		}
		answer, err := q.send(ctx, s.client)
		if status(err) != http.StatusForbidden || fresh && !s.over(h.now()) {
			return answer, err
		}
		switch holds, unsure := h.holds(ctx, s); {
		case unsure != nil:
			return nil, unsure
		case holds: // then it is the policy that refuses
			return nil, err
		}
		lost = s // another caller may have logged in since, and that be over too
	}
}

// as makes a client that has only what it is given, and nothing of the
// VAULT_* variables of the environment. It asks once; redirects egress refuses.
func (h *hashicorp) as(by *http.Client, token Secret) (*api.Client, error) {
	c, err := api.NewClient(&api.Config{Address: h.at.server(), HttpClient: by})
	if err != nil { // it reads all of them first, and its error quotes them
		return nil, h.refusal("log in", ErrUnavailable, "the agent's environment has VAULT_… variables that HashiCorp's client cannot read", "take them out of it: the agent uses none")
	}
	c.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	c.SetWrappingLookupFunc(func(string, string) string { return "" })
	c.SetToken(token.Reveal())
	if h.namespace != "" {
		c.SetNamespace(h.namespace)
	}
	return c, nil
}

// status is the status code of a refusal, or 0 for any other error and none.
func status(err error) int {
	if said, ok := errors.AsType[*api.ResponseError](err); ok && !said.RawError {
		return said.StatusCode
	}
	return 0
}

// told is err in our words: the client's own quote the server's answer.
func (h *hashicorp) told(ctx context.Context, q request, err error) error {
	if err == nil {
		return nil
	}
	if said, ok := errors.AsType[*api.ResponseError](err); ok && said.RawError {
		return h.foreign(q.op, said.StatusCode)
	}
	switch code := status(err); {
	case code == 0:
		return h.silence(ctx, q.op, err)
	case code == http.StatusForbidden:
		return h.refusal(q.op, ErrDenied, "no policy of the login gives "+q.right()+" on "+q.path, "have it added to one, or name another entry")
	case code == http.StatusServiceUnavailable:
		return h.refusal(q.op, ErrSealed, "", "have its operators unseal it")
	case code == http.StatusTooManyRequests:
		return h.refusal(q.op, ErrUnavailable, "it answered that it is asked too often", "try again later, or have its quota raised")
	case code < http.StatusInternalServerError:
		return h.refusal(q.op, ErrUnavailable, fmt.Sprintf("it refused the request for %s (%d)", q.path, code), "check the url's path and engine: at the store")
	default:
		return h.refusal(q.op, ErrUnavailable, fmt.Sprintf("it answered with an error of its own (%d)", code), "try again; if it stays, tell its operators")
	}
}

// silence is the error where there was no answer that a vault gives.
func (h *hashicorp) silence(ctx context.Context, op string, err error) error {
	if e, ok := errors.AsType[*egress.RedirectError](err); ok {
		return h.refusal(op, ErrUnavailable, e.Error(), "it may be a standby: write the address of the active server, or of a balancer that finds it, into the store's url")
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return h.foreign(op, http.StatusOK)
	}
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return h.foreign(op, http.StatusOK)
	}
	return h.unanswered(ctx, op, err)
}

// foreign is the error for an answer that no vault gives.
func (h *hashicorp) foreign(op string, code int) error {
	return h.refusal(op, ErrUnavailable, fmt.Sprintf("the answer of %s (%d) is none of a HashiCorp Vault", h.at.host, code),
		"check host and port of the store's url, and what stands between")
}

// turn is a lock that can be waited for with a context.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }

// printable tells whether s can stand in a header, as every token can.
func printable(s Secret) bool {
	return !strings.ContainsFunc(s.Reveal(), func(r rune) bool { return r < '!' || r > '~' })
}
