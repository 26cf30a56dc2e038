package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Open opens the log in dir, which it makes with mode 0700 if it is missing, and goes on where
// the log ends. The caller owns the result and must Close it.
//
// A last line that a power cut tore is cut off, and a record says so. A chain that does not
// hold from audit.head on, or ends before it, is a *BrokenError, and nothing is written; the
// lines before the head are for Verify.
func Open(dir string, o Options) (*Log, error) {
	l := &Log{
		dir: dir, o: o.withDefaults(),
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	rested, err := l.open()
	if err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	go l.background(rested, l.end.File)
	return l, nil
}

// open tells besides whether nothing was recorded for as long as pruning pauses.
func (l *Log) open() (rested bool, err error) {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return false, err
	}
	t, err := findTail(l.dir)
	if err != nil {
		return false, err
	}
	l.end, l.since = t.end, t.since
	last, err := l.newest()
	if err != nil {
		return false, err
	}
	rested = l.o.Now().Sub(last) >= pruningPause
	return rested, l.take(t)
}

// take opens the files of the log for what is to be appended behind t.
func (l *Log) take(t tail) (err error) {
	if t.cut > 0 {
		if err := os.Truncate(filepath.Join(l.dir, t.end.File), t.end.End); err != nil {
			return err
		}
	}
	if l.file, err = openToAppend(l.dir, t.end.File, t.end.End); err != nil {
		return err
	}
	l.head, err = os.OpenFile(filepath.Join(l.dir, headName), os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if err != nil {
		return errors.Join(err, l.file.Close())
	}
	if err := errors.Join(l.note(t), l.sync()); err != nil {
		return errors.Join(err, l.file.Close(), l.head.Close())
	}
	return nil
}

// note records what was found amiss at the start.
func (l *Log) note(t tail) error {
	if t.headLost {
		l.o.Log.Warn("audit log has lost its head file", "dir", l.dir)
		if err := l.Append(Record{Event: eventHeadLost, UID: -1, Detail: headName + " was missing or unreadable"}); err != nil {
			return err
		}
	}
	if t.cut > 0 {
		return l.Append(Record{Event: eventCutOff, UID: -1, Detail: fmt.Sprintf("%d bytes after record %d", t.cut, t.end.Seq)})
	}
	return nil
}
