package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"keytender/vault/atomicfile"
)

// prune deletes the oldest file if its last record is older than Keep, by the clock and by the
// newest record, and never the last file. It goes only after a record of it is on disk.
//
// One file is all that a call deletes, and background calls once an hour, once for a new file
// and once at a start after an hour without records. So a log that grows keeps its length,
// while a clock that jumps past Keep costs a file an hour, not the whole log at once, and
// nothing once somebody has put it right.
func (l *Log) prune() error {
	if l.o.Keep <= 0 {
		return nil
	}
	names, err := fileNames(l.dir)
	if err != nil || len(names) < 2 {
		return err
	}
	name, now := names[0], l.o.Now()
	last, at, err := l.lastOf(name)
	if err != nil {
		return fmt.Errorf("prune %s: %w", name, err)
	}
	newest, err := l.newest()
	if err != nil {
		return fmt.Errorf("prune %s: %w", name, err)
	}
	if at.After(now) {
		if at, err = l.endedBefore(names[1:len(names)-1], now, newest); err != nil {
			return fmt.Errorf("prune %s: %w", name, err)
		}
	}
	if now.Sub(at) <= l.o.Keep || newest.Sub(at) <= l.o.Keep {
		return nil
	}
	if err := l.AppendSync(Record{Event: eventPruned, UID: -1, Detail: last.anchor()}); err != nil {
		return fmt.Errorf("prune %s: %w", name, err)
	}
	if err := os.Remove(filepath.Join(l.dir, name)); err != nil {
		return fmt.Errorf("prune %s: %w", name, err)
	}
	if err := atomicfile.SyncDir(l.dir); err != nil {
		return fmt.Errorf("prune %s: %w", name, err)
	}
	return nil
}

// endedBefore is for a file that was written with a clock that was ahead: it ended before those
// that follow it, so it is no younger than the first of them that ends with a time that can be,
// or than newest, the end of them all.
func (l *Log) endedBefore(following []string, now, newest time.Time) (time.Time, error) {
	for _, name := range following {
		if _, at, err := l.lastOf(name); err != nil || !at.After(now) {
			return at, err
		}
	}
	return newest, nil
}

// newest is the time of the newest record; zero while the last file has none.
func (l *Log) newest() (time.Time, error) {
	l.mu.Lock()
	end := l.end
	l.mu.Unlock()
	if end.End == 0 {
		return time.Time{}, nil
	}
	f, err := openToRead(l.dir, end.File)
	if err != nil {
		return time.Time{}, err
	}
	defer f.Close()
	_, at, err := lastLine(f, end.End)
	return at, err
}

// anchor is the Detail of a "pruned" record: the last line that is deleted.
func (p position) anchor() string { return fmt.Sprintf("through %d hash %s", p.Seq, p.Hash) }

// lastOf reads the last line of a file that is no longer written to.
func (l *Log) lastOf(name string) (position, time.Time, error) {
	f, err := openToRead(l.dir, name)
	if err != nil {
		return position{}, time.Time{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return position{}, time.Time{}, err
	}
	last, at, err := lastLine(f, info.Size())
	last.File = name
	return last, at, err
}

// lastLine reads the line that ends at end, and when it was written.
func lastLine(f io.ReaderAt, end int64) (position, time.Time, error) {
	raw, err := lineBefore(f, end)
	if err != nil {
		return position{}, time.Time{}, err
	}
	var l line
	err = json.Unmarshal(raw, &l)
	return position{End: end, Seq: l.Seq, Hash: hashOf(raw)}, l.At, err
}
