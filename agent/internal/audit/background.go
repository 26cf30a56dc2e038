package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// pruningPause is how long pruning rests after a file.
const pruningPause = time.Hour

// background syncs what was appended, half a second after the first line of it, and prunes: one
// file an hour, one for each that is begun after the file last, and one at once if due. With
// nothing appended it sleeps, but for the hourly look at the age of files.
func (l *Log) background(due bool, last string) {
	defer close(l.done)
	hourly := time.NewTicker(pruningPause)
	defer hourly.Stop()
	inOrder := true
	if due {
		l.rouse()
	}
	for {
		select {
		case <-l.quit:
			return
		case <-hourly.C:
			due = true
		case <-l.wake:
			select {
			case <-l.quit:
				return
			case <-time.After(500 * time.Millisecond):
			}
		}
		err := l.sync()
		if due = due || l.lastFile() != last; due {
			pruned := l.prune()
			due = pruned != nil
			err = errors.Join(err, pruned)
		}
		last = l.lastFile() // one that the record of pruning began does not count
		inOrder = l.tidy(err, inOrder)
	}
}

func (l *Log) lastFile() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end.File
}

// tidy tells, once, about what goes wrong with nobody waiting for it, and has it tried again.
func (l *Log) tidy(err error, wasInOrder bool) (inOrder bool) {
	if err == nil || errors.Is(err, os.ErrClosed) { // Close was quicker, and syncs by itself
		return true
	}
	if wasInOrder {
		l.o.Log.Error("audit log not in order", "dir", l.dir, "err", err)
	}
	l.rouse()
	return false
}

// sync brings all lines so far to disk and then moves the head behind them. Appending goes on
// meanwhile.
func (l *Log) sync() error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	l.mu.Lock()
	file, end := l.file, l.end
	l.dirty = false
	l.mu.Unlock()

	err := confirm(file)
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(err, os.ErrClosed) && l.file != file {
		err = nil // rotate has synced it
	}
	if err == nil {
		err = writeHead(l.head, end)
	}
	if err == nil {
		if l.unsynced != nil {
			l.unsynced, l.failed = nil, nil
		}
		return nil
	}
	l.unsynced, l.dirty = err, true
	l.failed = fmt.Errorf("%w: sync: %w", ErrUnavailable, err)
	return l.failed
}

// confirm syncs the file and notices if somebody took it away: lines written to it would be lost.
func confirm(file *os.File) error {
	ours, err := file.Stat()
	if err != nil {
		return err
	}
	theirs, err := os.Lstat(file.Name())
	if err != nil {
		return err
	}
	if !os.SameFile(ours, theirs) {
		return &fs.PathError{Op: "sync", Path: file.Name(), Err: errors.New("somebody put another file in its place")}
	}
	return file.Sync()
}
