package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// tail is what findTail has learned: where the log ends and what is to be cut off behind.
type tail struct {
	end      position
	since    time.Time // At of the first record in the last file
	cut      int64
	headLost bool
}

// findTail follows the chain from the head to the end. It changes nothing.
func findTail(dir string) (tail, error) {
	names, err := fileNames(dir)
	if err != nil {
		return tail{}, err
	}
	head, known, err := readHead(dir)
	if err != nil {
		return tail{}, err
	}
	switch {
	case len(names) == 0 && head.Seq > 0:
		return tail{}, &BrokenError{File: head.File, Seq: head.Seq, Reason: "the file is missing"}
	case len(names) == 0:
		return tail{end: position{File: fileName(1)}}, nil
	case !known:
		names = names[max(0, len(names)-2):]
		if head, err = trusted(dir, names[0]); err != nil {
			return tail{}, err
		}
	default:
		at := slices.Index(names, head.File)
		if at < 0 {
			return tail{}, &BrokenError{File: head.File, Seq: head.Seq, Reason: "the file is missing"}
		}
		names = names[at:]
	}
	t := tail{end: head, headLost: !known}
	for i, name := range names {
		if i > 0 {
			t.end.File, t.end.End = name, 0
		}
		if err := t.follow(dir, i == len(names)-1); err != nil {
			return tail{}, err
		}
	}
	return t, nil
}

// trusted is the position before a file's first line, as that line tells it.
func trusted(dir, name string) (position, error) {
	f, err := openToRead(dir, name)
	if err != nil {
		return position{}, err
	}
	defer f.Close()
	l, _ := firstLine(f)
	return position{File: name, Seq: firstSeq(name) - 1, Hash: l.Prev}, nil
}

// follow checks the lines of the file t.end.File from t.end on and moves t.end behind them.
// In the last file it stops at a torn line: one without line feed, or with the zeros that
// some file systems leave where data did not reach the disk. The log itself writes no zeros.
func (t *tail) follow(dir string, last bool) error {
	f, err := openToRead(dir, t.end.File)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := t.enter(f); err != nil {
		return err
	}
	if _, err := f.Seek(t.end.End, io.SeekStart); err != nil {
		return err
	}
	for raw, err := range lines(f) {
		if torn := errors.Is(err, errNotWhole) || bytes.IndexByte(raw, 0) >= 0; torn && last {
			info, err := f.Stat()
			if err != nil {
				return err
			}
			t.cut = info.Size() - t.end.End
			return nil
		}
		if err != nil {
			return t.broken(err.Error())
		}
		if _, reason := t.end.next(raw); reason != "" {
			return t.broken(reason)
		}
	}
	return nil
}

// enter checks that the file goes on where the chain stands.
func (t *tail) enter(f *os.File) error {
	if l, ok := firstLine(f); ok {
		t.since = l.At
	}
	if t.end.End == 0 {
		if firstSeq(t.end.File) != t.end.Seq+1 {
			return t.broken(fmt.Sprintf("its name says that it begins with record %d", firstSeq(t.end.File)))
		}
		return nil
	}
	raw, err := lineBefore(f, t.end.End)
	if errors.Is(err, io.EOF) {
		return t.broken(fmt.Sprintf("lines are missing at the end: %s knows record %d", headName, t.end.Seq))
	}
	if err != nil && !errors.Is(err, errNotWhole) {
		return err
	}
	if err != nil || hashOf(raw) != t.end.Hash {
		return t.broken("it is not the record that " + headName + " knows")
	}
	return nil
}

func (t *tail) broken(reason string) error {
	return &BrokenError{File: t.end.File, Seq: t.end.Seq + 1, Reason: reason}
}

const notFollowing = "it does not follow the record before"

// next moves p behind raw if raw is the line that follows, else it gives the reason.
func (p *position) next(raw []byte) (l line, reason string) {
	if err := json.Unmarshal(raw, &l); err != nil {
		return l, "the line is not a record"
	}
	if l.Seq != p.Seq+1 {
		return l, fmt.Sprintf("the line has the number %d", l.Seq)
	}
	if l.Prev != p.Hash {
		return l, notFollowing
	}
	p.End += int64(len(raw)) + 1
	p.Seq, p.Hash = l.Seq, hashOf(raw)
	return l, ""
}
