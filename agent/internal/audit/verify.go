package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// Report is what Verify has seen.
type Report struct {
	Records uint64 // that are there
	Pruned  uint64 // that were deleted by age, with an anchor
	Files   int
	Head    string // hash of the last record, "" where there is none
	CutOff  bool   // a power cut took the end of a line, now or at an earlier time
}

// Verify follows the whole chain in dir, which may be a log that is being written.
// A *BrokenError names the first record that is not what was written; the report then counts
// the good ones before it.
func Verify(dir string) (Report, error) {
	// The head is read before the files: a log that is being written only grows.
	head, known, err := readHead(dir)
	if err != nil {
		return Report{}, fmt.Errorf("verify the audit log: %w", err)
	}
	names, err := fileNames(dir)
	if err != nil {
		return Report{}, fmt.Errorf("verify the audit log: %w", err)
	}
	v := &verifier{dir: dir, head: head}
	for i, name := range names {
		if err := v.file(name, i == len(names)-1); err != nil {
			return v.report, err
		}
	}
	if err := v.finish(); err != nil {
		return v.report, err
	}
	if !known && len(names) > 0 {
		return v.report, &BrokenError{File: headName, Seq: v.end.Seq, Reason: "the file is missing or unreadable: whether records are missing at the end cannot be told"}
	}
	return v.report, nil
}

// verifier holds where the chain stands and what is still to be shown.
type verifier struct {
	dir     string
	head    position
	report  Report
	end     position // behind the last line read
	last    place    // of the last good record
	begin   position // behind what was pruned
	missing bool     // no anchor for begin was seen yet
	accuser *place   // a record that contradicts last: one of the two was changed
}

// place is where a record stands.
type place struct {
	file string
	line int
	seq  uint64
}

func (p place) broken(reason string) error {
	return &BrokenError{File: p.file, Line: p.line, Seq: p.seq, Reason: reason}
}

func (v *verifier) file(name string, last bool) error {
	f, err := openToRead(v.dir, name)
	if errors.Is(err, fs.ErrNotExist) && v.report.Files == 0 && !last {
		return nil // pruned meanwhile: the next file shows the anchor
	}
	if err != nil {
		return fmt.Errorf("verify the audit log: %w", err)
	}
	defer f.Close()
	if v.report.Files == 0 && firstSeq(name) > 1 {
		if v.begin, err = trusted(v.dir, name); err != nil {
			return fmt.Errorf("verify the audit log: %w", err)
		}
		v.end, v.missing, v.report.Pruned = v.begin, true, v.begin.Seq
	}
	v.report.Files++
	at := place{file: name, seq: v.end.Seq + 1}
	if firstSeq(name) != at.seq {
		return at.broken(fmt.Sprintf("the file begins with record %d: those before it are missing", firstSeq(name)))
	}
	for raw, err := range lines(f) {
		at.line++
		at.seq = v.end.Seq + 1
		if errors.Is(err, errNotWhole) && last {
			v.report.CutOff = true
			break
		}
		if err != nil {
			return at.broken(err.Error())
		}
		if err := v.record(raw, at); err != nil {
			return err
		}
	}
	return nil
}

// record checks one line. A contradiction between two neighbours does not tell which of them
// was changed: the line after decides, for it vouches for the second or it does not.
func (v *verifier) record(raw []byte, at place) error {
	if v.accuser != nil {
		var l line
		return v.judge(json.Unmarshal(raw, &l) == nil && l.Prev == v.end.Hash)
	}
	l, reason := v.end.next(raw)
	if reason != "" {
		if reason != notFollowing || v.last.seq == 0 {
			return at.broken(reason)
		}
		v.accuser = &at
		v.end.Seq, v.end.Hash = l.Seq, hashOf(raw)
		return nil
	}
	if at.seq == v.head.Seq && v.end.Hash != v.head.Hash {
		return at.broken("it is not the record that " + headName + " knows")
	}
	v.last = at
	v.report.Records++
	v.report.Head = v.end.Hash.String()
	v.report.CutOff = v.report.CutOff || l.Event == eventCutOff
	if l.Event == eventPruned && l.Detail == v.begin.anchor() {
		v.missing = false
	}
	return nil
}

func (v *verifier) judge(accuserHolds bool) error {
	if accuserHolds {
		v.report.Records--
		return v.last.broken("the record was changed: the one after it does not follow it")
	}
	return v.accuser.broken(notFollowing)
}

func (v *verifier) finish() error {
	if v.accuser != nil {
		return v.judge(v.head.Seq == v.end.Seq && v.head.Hash == v.end.Hash)
	}
	if v.end.Seq < v.head.Seq {
		at := v.last
		at.line, at.seq = at.line+1, v.end.Seq+1
		return at.broken(fmt.Sprintf("records %d to %d are missing at the end", at.seq, v.head.Seq))
	}
	if v.missing {
		return place{fileName(v.begin.Seq + 1), 1, v.begin.Seq + 1}.broken("the records before it are missing and no record says that they were deleted by age")
	}
	return nil
}
