package audit

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"keytender/vault/atomicfile"
)

// prune deletes the files whose last record is older than Keep, never the last file. Each goes
// only after a record of it is on disk.
func (l *Log) prune() error {
	if l.o.Keep <= 0 {
		return nil
	}
	names, err := fileNames(l.dir)
	if err != nil || len(names) < 2 {
		return err
	}
	for _, name := range names[:len(names)-1] {
		last, at, err := l.lastOf(name)
		if err != nil {
			return fmt.Errorf("prune %s: %w", name, err)
		}
		if l.o.Now().Sub(at) <= l.o.Keep {
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
	}
	return nil
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
	raw, err := lineBefore(f, info.Size())
	if err != nil {
		return position{}, time.Time{}, err
	}
	var last line
	err = json.Unmarshal(raw, &last)
	return position{File: name, End: info.Size(), Seq: last.Seq, Hash: hashOf(raw)}, last.At, err
}
