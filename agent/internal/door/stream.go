package door

import (
	"context"
	"encoding/json"
	"net/http"

	"keytender/agent/api"
)

// stream is an answer that comes in pieces. Until the first is written, the
// exchange can still be answered otherwise.
type stream struct {
	x     *exchange
	kind  string
	begun bool
}

func (x *exchange) stream(kind string) *stream { return &stream{x: x, kind: kind} }

func (s *stream) begin() {
	if s.begun {
		return
	}
	s.begun, s.x.streams = true, true
	s.x.common()
	s.x.w.Header().Set("Connection", "close")
	s.x.w.Header().Set("Content-Type", s.kind)
	s.x.w.WriteHeader(http.StatusOK)
}

// write writes one piece, which has its own time for it.
func (s *stream) write(piece []byte) error {
	s.x.extend()
	s.begin()
	_, err := s.x.w.Write(piece)
	return err
}

// event writes one server-sent event, at once.
func (s *stream) event(name string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		s.x.server.options.Log.Error("an event could not be encoded", "event", name, "error", err)
		return
	}
	piece := append([]byte("event: "+name+"\ndata: "), data...)
	if s.write(append(piece, "\n\n"...)) == nil {
		_ = http.NewResponseController(s.x.w).Flush() // a caller who has gone ends the context
	}
}

// inSteps answers with events: "step" for each that is done, then "done" or
// "error". A caller who hangs up cancels what is done.
func inSteps[Asked, Came any](x *exchange, do func(context.Context, Asked, func(api.Step)) (Came, error)) {
	var asked Asked
	if !x.expects(http.MethodPost) || !x.asksNothing() || !x.body(&asked) {
		return
	}
	events := x.stream("text/event-stream")
	came, err := do(x.r.Context(), asked, func(step api.Step) { events.event("step", step) })
	if err != nil {
		events.event("error", x.explain(err))
		return
	}
	events.event("done", came)
}
