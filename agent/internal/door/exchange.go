package door

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/peer"
)

// exchange is one request and its answer.
type exchange struct {
	server   *Server
	entrance string // where it came in: "unix" or "tcp"
	line     *line
	w        http.ResponseWriter
	r        *http.Request
	path     string // as sent: every route is plain ASCII, so nothing is decoded
	query    string
	streams  bool // net/http ends the answer, after this exchange
}

// read takes the target of the request apart.
func (x *exchange) read() {
	x.path, x.query, _ = strings.Cut(x.r.RequestURI, "?")
}

// end lets the line go to others. One that streams closes by itself.
func (x *exchange) end() {
	if !x.streams {
		x.line.busy.Store(false)
	}
}

// expects refuses every method but one, and a body where there is none to be.
// A HEAD for a token would fetch one for nobody.
func (x *exchange) expects(method string) bool {
	if x.r.Method != method {
		x.w.Header().Set("Allow", method)
		x.answerError(http.StatusMethodNotAllowed, &api.Error{Code: api.InvalidRequest, Description: "this address answers " + method + " only"})
		return false
	}
	if method == http.MethodGet || method == http.MethodDelete {
		return x.expectsNoBody()
	}
	return true
}

func (x *exchange) expectsNoBody() bool {
	if x.r.ContentLength == 0 {
		return true
	}
	x.refuse(&api.Error{Code: api.InvalidRequest, Field: "body", Description: "this request takes no body"})
	return false
}

// asksNothing refuses parameters.
func (x *exchange) asksNothing() bool {
	_, bad := parameters(x.query)
	if bad != nil {
		x.refuse(bad)
	}
	return bad == nil
}

// expectsGet accepts a GET with some of the named parameters.
func (x *exchange) expectsGet(names ...string) (given map[string]string, ok bool) {
	if !x.expects(http.MethodGet) {
		return nil, false
	}
	given, bad := parameters(x.query, names...)
	if bad != nil {
		x.refuse(bad)
	}
	return given, bad == nil
}

// enter finds out who asks and takes one of the caller's places, which leave
// gives back. It answers the request if it returns false.
func (x *exchange) enter() (peer.Caller, bool) {
	caller := x.line.who()
	if !caller.Known {
		x.refuse(&api.Error{Code: api.AccessDenied, Description: "the system does not tell which user asks", Hint: "ask over the agent's unix socket"})
		return caller, false
	}
	if x.line.places == nil {
		x.line.places = x.server.queue.placesOf(caller.UID)
	}
	if !x.server.queue.enter(x.r.Context(), x.line.places) {
		x.refuse(&api.Error{Code: api.SlowDown, Description: "too many of your requests wait already", Hint: "ask again in a second, and ask less at once", RetryAfter: 1})
		return caller, false
	}
	return caller, true
}

func (x *exchange) leave() { x.server.queue.leave(x.line.places) }

// body reads the whole body, strictly: one JSON value of v's type and nothing
// beside it. What was sent is never repeated in an error, for it may hold a
// secret. It answers the request if it returns false.
func (x *exchange) body(v any) bool {
	if kind := x.r.Header["Content-Type"]; len(kind) != 1 || kind[0] != "application/json" {
		x.refuse(&api.Error{Code: api.InvalidRequest, Field: "Content-Type", Description: "the body must be sent as application/json"})
		return false
	}
	control := http.NewResponseController(x.w)
	_ = control.SetReadDeadline(time.Now().Add(x.server.options.ReadBody))
	in := json.NewDecoder(http.MaxBytesReader(x.w, x.r.Body, x.server.options.Body))
	in.DisallowUnknownFields()
	err := in.Decode(v)
	if err == nil {
		if _, err = in.Token(); err == nil {
			err = errSecondValue
		} else if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err != nil {
		x.refuse(malformed(err))
		return false
	}
	_ = control.SetReadDeadline(time.Time{}) // or the answer could take no longer than the question
	return true
}

// errSecondValue is what follows a JSON value that should stand alone.
var errSecondValue = errors.New("something follows the value")

func malformed(err error) *api.Error {
	e := &api.Error{Code: api.InvalidRequest, Field: "body", Hint: "see that program and agent are of the same version"}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		e.Field = wrong.Field
		e.Description = "the body has a value of the wrong type"
		return e
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		e.Description, e.Hint = "the body is too large", "send less"
		return e
	}
	e.Description = "the body is not one JSON value of the fields that this address takes"
	return e
}

// hangUp closes the connection after the answer: what else comes on it was
// not meant for us, or is not worth reading. Nothing is waited for, and who
// needs the connection's place can have it.
func (x *exchange) hangUp() {
	x.line.busy.Store(false)
	x.w.Header().Set("Connection", "close")
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(time.Second))
}

// refuse answers with what the door itself found wrong.
func (x *exchange) refuse(e *api.Error) { x.answerError(e.Code.HTTPStatus(), e) }

// fail answers with the explanation of what the agent returned. An error that
// has none goes to the log, where its text can do no harm.
func (x *exchange) fail(err error) { x.refuse(x.explain(err)) }

func (x *exchange) explain(err error) *api.Error {
	e := x.server.options.Explain(err)
	if e.Code == api.ServerError {
		x.server.options.Log.Error("a request failed", "path", x.path, "error", err)
	}
	return e
}

// reply answers with v, or with err if there is one.
func (x *exchange) reply(v any, err error) {
	if err != nil {
		x.fail(err)
		return
	}
	x.answer(http.StatusOK, v)
}

func (x *exchange) answerError(status int, e *api.Error) {
	if x.r.ContentLength != 0 {
		x.hangUp() // net/http would read on to the end of the body
	}
	if e.RetryAfter > 0 {
		x.w.Header().Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	x.answer(status, e)
}

// answer sends v, a message that can always be encoded, as JSON.
func (x *exchange) answer(status int, v any) {
	encoded, err := json.Marshal(v)
	if err != nil {
		x.server.options.Log.Error("an answer could not be encoded", "path", x.path, "error", err)
		status, encoded = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	x.send(status, encoded)
}

// send sends the one piece that an answer is.
func (x *exchange) send(status int, body []byte) {
	x.common()
	x.w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.extend()
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body) // a caller who has gone is no error
	_ = http.NewResponseController(x.w).Flush()
}

// common sets the fields of every answer. Nobody changes their values.
func (x *exchange) common() {
	h := x.w.Header()
	for _, f := range x.server.fixed {
		h[f.name] = f.value
	}
}

// extend gives what is written next its time, or a tenth less: setting a
// deadline costs as much as a rule does, so a busy line keeps one for a while.
func (x *exchange) extend() {
	now, limit := time.Now(), x.server.options.Write
	if now.Sub(x.line.extended) < limit/10 {
		return
	}
	x.line.extended = now
	_ = http.NewResponseController(x.w).SetWriteDeadline(now.Add(limit))
}
