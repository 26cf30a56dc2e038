package agent

import (
	"bytes"
	"encoding/json"
	"testing"

	"keytender/agent/api"
)

// recorded is what tests look at of an audit record.
type recorded struct {
	Event, Door, Profile, Ruling, Code, Fingerprint, Detail string
	UID                                                     *int64
	PID                                                     int
}

// records are the audit records of an event, oldest first.
func (r *running) records(t *testing.T, event string) []recorded {
	t.Helper()
	var lines bytes.Buffer
	if err := r.admin.Audit(t.Context(), api.AuditFilter{}, &lines); err != nil {
		t.Fatal(err)
	}
	var found []recorded
	for line := range bytes.Lines(lines.Bytes()) {
		var one recorded
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		if one.Event == event {
			found = append(found, one)
		}
	}
	return found
}
