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
	log *audit.Log
	now func() time.Time

	mu     sync.Mutex
	counts map[refusalKind]*refusalCount
}

// refusalKind is what makes two refusals the same for the record. It holds
// nothing that a caller can choose freely, so that kinds cannot be made up.
type refusalKind struct {
	uid        int64
	door, code string
	profile    string // the profile, where it is one that there is
}

type refusalCount struct {
	since  time.Time
	record audit.Record // the first
	more   int
}

func newRefusals(log *audit.Log, now func() time.Time) *refusals {
	return &refusals{log: log, now: now, counts: map[refusalKind]*refusalCount{}}
}

// add records a refusal, or counts it, and returns the ruling under which it
// stands in the record.
func (r *refusals) add(record audit.Record) (ruling string, err error) {
	kind := refusalKind{record.UID, record.Door, record.Code, record.Profile}
	r.mu.Lock()
	defer r.mu.Unlock()
	if count, ok := r.counts[kind]; ok {
		count.more++
		return count.record.Ruling, nil
	}
	if len(r.counts) >= refusalsKnown {
		return record.Ruling, nil // the records of this minute show that there is a flood
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
			record.Detail = fmt.Sprintf("%d more since %s", count.more, count.since.UTC().Format(time.RFC3339))
			if r.log.Append(record) != nil {
				continue // kept, and tried again
			}
		}
		delete(r.counts, kind)
	}
}
