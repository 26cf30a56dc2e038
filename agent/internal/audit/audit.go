// Package audit keeps the record of what the agent decided and did: append-only, chained by
// hashes, and failing closed, for without a record there is no token.
//
//	Append  Record → one JSON line with the hash of the line before → one write → the kernel has it
//	        … at most a second later, only if there was something: fsync → audit.head
//	Open    audit.head → check the lines behind it → cut off a torn last one → Log
//
// A directory holds files audit-N.jsonl, N being the Seq of the first record in it with 20
// digits; the last one is written to. A line holds the fields of Record in their order, without
// those that are empty, and last "prev": the SHA-256 of the raw line before, without its line
// feed, in hexadecimal. The first line ever has 64 zeros there. So the chain runs on from file
// to file, and a shell can follow it:
//
//	sed -n 7p audit-00000000000000000001.jsonl | tr -d '\n' | sha256sum
//
// audit.head tells the last record known to be on disk, so that lines missing at the end are
// missed. Nothing here is signed: who can write the directory can make a chain of their own.
//
// Deleting by age writes a record "pruned" for each file, before it goes, with the Seq and hash
// of the file's last line: the anchor by which Verify knows that a log may begin later than at 1.
package audit

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ErrUnavailable says that a record could not be written. Whoever asked for it must not act on
// what would have been recorded.
var ErrUnavailable = errors.New("the audit log cannot be written")

// Events that the log writes of its own accord; nobody else should.
const (
	eventCutOff   = "cut_off"   // a power cut took the end of the file
	eventHeadLost = "head_lost" // audit.head was missing or unreadable at the start
	eventPruned   = "pruned"    // the oldest file is deleted, by age
)

// Record is one entry. Texts longer than 8 KiB are cut, with an ellipsis. None may be secret.
type Record struct {
	Seq         uint64    // given by the log: one more than the record before
	At          time.Time // wall clock; zero is now
	Event       string    // token, refused, grant, pair, start …
	UID         int64     // of the caller; negative is unknown
	User        string
	PID         int // 0 is unknown
	Door        string
	Source      string // how the caller was learned: peercred, sock_diag
	Profile     string
	Scopes      string
	Ruling      string
	Fingerprint string // of the token, never the token
	Code        string
	Detail      string
}

// Options of a log. The zero value rotates at 64 MiB and keeps everything.
type Options struct {
	// MaxSize is the size in bytes that a file does not exceed, unless one record does. 0 is 64 MiB.
	MaxSize int64
	// Keep is how long records are kept at least; 0 is for ever. Files go as a whole, so that a
	// record may live an eighth longer than Keep, or a day if that is less. They go one an hour,
	// one for each that is begun, and one at an Open that comes an hour after the last record or
	// later: a clock that jumps into the future does not take the log with it, nor do many starts,
	// and after a long rest or with a new Keep it takes its time. What a clock wrote that was
	// ahead lives as long as the records that follow it.
	Keep time.Duration
	// Now is the wall clock; nil is time.Now.
	Now func() time.Time
	// Log hears of what happens in the background; nil is nobody.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.MaxSize == 0 {
		o.MaxSize = 64 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// BrokenError names the first place at which the log is not what was written.
// Line counts from 1; it is 0 where a whole file is meant or, at Open, was not counted.
type BrokenError struct {
	File   string
	Line   int
	Seq    uint64
	Reason string
}

func (e *BrokenError) Error() string {
	at := e.File
	if e.Line > 0 {
		at += fmt.Sprintf(", line %d", e.Line)
	}
	return fmt.Sprintf("the audit log is broken at %s (record %d): %s", at, e.Seq, e.Reason)
}
