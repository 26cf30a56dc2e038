package door

import (
	"context"
	"net/http"
	"strings"

	"keytender/agent/api"
	"keytender/agent/internal/peer"
	"keytender/agent/internal/session"
)

// Workload is what the workload door asks of the agent. Callers are always
// known. Each function stops when its context ends, which it does when the
// caller hangs up.
type Workload struct {
	// Token returns a token, and whether it is valid for as long as was asked.
	Token func(context.Context, peer.Caller, TokenRequest) (token *session.Token, minValidMet bool, err error)
	// Profiles are those that the caller may use.
	Profiles func(context.Context, peer.Caller) ([]api.Profile, error)
	// Status is the agent's state as the caller may see it.
	Status func(context.Context, peer.Caller) (api.Status, error)
	// Ready tells whether tokens can be given, with a line for each part. The
	// lines are for anybody who reaches the door: they name no profile.
	Ready func(context.Context) (ready bool, lines []string)
}

// NewWorkload is the workload door: unix sockets, and TCP behind guards.
func NewWorkload(w Workload, o Options) *Server {
	s := newServer(o, true)
	s.routes = w.routes
	return s
}

func (w Workload) routes(x *exchange) {
	switch x.path {
	case "/v1/token":
		w.token(x)
	case "/v1/profiles":
		w.profiles(x)
	case "/v1/status":
		w.status(x)
	case "/livez":
		w.live(x)
	case "/readyz":
		w.ready(x)
	default:
		x.unknown()
	}
}

func (x *exchange) unknown() {
	x.refuse(&api.Error{Code: api.NotFound, Description: "there is nothing at this address"})
}

func (w Workload) token(x *exchange) {
	if !x.expects(http.MethodGet) {
		return
	}
	request, bad := readTokenRequest(x.query)
	if bad != nil {
		x.refuse(bad)
		return
	}
	request.Door = x.entrance
	caller, ok := x.enter()
	if !ok {
		return
	}
	defer x.leave()
	token, met, err := w.Token(x.r.Context(), caller, request)
	if err != nil {
		x.fail(err)
		return
	}
	buffer := x.server.buffers.Get().(*[]byte)
	*buffer = token.AppendJSON((*buffer)[:0], x.server.options.Now(), met)
	x.send(http.StatusOK, *buffer)
	clear(*buffer) // a token lives no longer than it must
	x.server.buffers.Put(buffer)
}

func (w Workload) profiles(x *exchange) {
	if !x.plain() {
		return
	}
	caller, ok := x.enter()
	if !ok {
		return
	}
	defer x.leave()
	list, err := w.Profiles(x.r.Context(), caller)
	x.reply(struct {
		Profiles []api.Profile `json:"profiles"`
	}{append([]api.Profile{}, list...)}, err)
}

func (w Workload) status(x *exchange) {
	if !x.plain() {
		return
	}
	caller, ok := x.enter()
	if !ok {
		return
	}
	defer x.leave()
	status, err := w.Status(x.r.Context(), caller)
	x.reply(status, err)
}

func (w Workload) live(x *exchange) {
	if x.plain() {
		x.answer(http.StatusOK, health{Status: "live"})
	}
}

// health is the answer of livez and readyz when all is well.
type health struct {
	Status string   `json:"status"`
	Checks []string `json:"checks,omitempty"`
}

// unready is the answer of readyz when it is not.
type unready struct {
	*api.Error
	Checks []string `json:"checks,omitempty"`
}

func (w Workload) ready(x *exchange) {
	given, ok := x.expectsGet("verbose")
	if !ok {
		return
	}
	ready, lines := w.Ready(x.r.Context())
	why := strings.Join(lines, "; ")
	if _, verbose := given["verbose"]; !verbose {
		lines = nil
	}
	if ready {
		x.answer(http.StatusOK, health{"ready", lines})
		return
	}
	e := &api.Error{Code: api.Unavailable, Description: "not ready: " + why, Hint: `run "keytender doctor"`}
	x.answer(http.StatusServiceUnavailable, unready{e, lines})
}

// plain accepts a GET without parameters.
func (x *exchange) plain() bool { return x.expects(http.MethodGet) && x.asksNothing() }
