package agent

import (
	"context"
	"fmt"
	"sync"
	"time"

	"keytender/agent/internal/audit"
)

const (
	refusalSpan   = time.Minute // one record of a kind of refusal in so long
	refusalsKnown = 1024        // kinds that are told apart at once
)

// refusals keeps a caller who is refused again and again from filling the
// audit: the first refusal of a kind is recorded at once, the others of the
// same minute are counted and recorded as one.
type refusals struct {
	owner int64 // the OS user that runs the agent
	log   *audit.Log
	now   func() time.Time

	mu     sync.Mutex
	counts map[refusalKind]*refusalCount
}

// refusalKind is what makes two refusals the same for the record. Of a
// stranger it holds nothing that he can choose freely.
type refusalKind struct {
	uid        int64
	door, code string
	profile    string // where it is one that there is
	scopes     string // asked for by the agent's own user
}

// manyKinds is all refusals for which there is no place among the kinds.
func manyKinds() refusalKind { return refusalKind{uid: -1, code: "of many kinds"} }

type refusalCount struct {
	since  time.Time
	record audit.Record // the first
	more   int
}

func newRefusals(owner int, log *audit.Log, now func() time.Time) *refusals {
	return &refusals{owner: int64(owner), log: log, now: now, counts: map[refusalKind]*refusalCount{}}
}

// add records a refusal, or counts it, and returns the ruling under which it
// stands in the record.
func (r *refusals) add(record audit.Record) (ruling string, err error) {
	kind := refusalKind{uid: record.UID, door: record.Door, code: record.Code, profile: record.Profile}
	if record.UID == r.owner {
		kind.scopes = record.Scopes
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.counts[kind]; !known && len(r.counts) >= refusalsKnown {
		kind = manyKinds()
	}
	if count, ok := r.counts[kind]; ok {
		count.more++
		return count.record.Ruling, nil
	}
	if err := r.log.Append(record); err != nil {
		return "", err
	}
	r.counts[kind] = &refusalCount{since: r.now(), record: record}
	return record.Ruling, nil
}

// keep settles every few seconds until ctx is done.
func (r *refusals) keep(ctx context.Context) {
	ticker := time.NewTicker(refusalSpan / 12)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.settle(false)
		case <-ctx.Done():
			return
		}
	}
}

// settle records what was counted in minutes that are over, or, at the end,
// in all.
func (r *refusals) settle(end bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for kind, count := range r.counts {
		age := r.now().Sub(count.since)
		if !end && age >= 0 && age < refusalSpan {
			continue
		}
		if count.more > 0 {
			record := count.record
			record.PID, record.Scopes = 0, kind.scopes // of the first alone
			if kind == manyKinds() {
				record = audit.Record{Event: record.Event, UID: -1, Code: kind.code}
			}
			record.Detail = fmt.Sprintf("%d more since %s", count.more, count.since.UTC().Format(time.RFC3339))
			if r.log.Append(record) != nil {
				continue // kept, and tried again
			}
		}
		delete(r.counts, kind)
	}
}
