package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"keytender/vault/atomicfile"
)

// Log is an open audit log. Its methods may be called by many goroutines at once; of one
// directory there must be one Log at a time, which the lock of the agent's state sees to.
type Log struct {
	dir  string
	o    Options
	wake chan struct{} // there is something to sync or to prune
	quit chan struct{}
	done chan struct{}

	syncing sync.Mutex // one fsync at a time; taken before mu
	head    *os.File

	mu       sync.Mutex
	file     *os.File
	end      position  // behind the last line
	since    time.Time // At of the first record in file
	buf      []byte
	torn     bool  // a piece of a line may stand behind end
	unsynced error // why the last fsync did not succeed
	failed   error
	dirty    bool // there are lines that were not synced
	closed   bool
}

// Append writes r. When it returns nil the kernel has the line, which then outlives the agent
// but for at most a second not a power cut. An error wraps ErrUnavailable: the record is not in
// the log, or the disk no longer confirms what is; the next call tries anew.
func (l *Log) Append(r Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.append(&r)
}

// AppendSync is Append for administrative acts: when it returns nil the line is on disk.
// After an error the record may be in the log all the same.
func (l *Log) AppendSync(r Record) error {
	if err := l.Append(r); err != nil {
		return err
	}
	return l.sync()
}

// Err returns the last error of writing or syncing, nil when all is well again.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// Close syncs what there is and ends the log. A second Close does nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	close(l.quit)
	<-l.done
	return errors.Join(l.sync(), l.file.Close(), l.head.Close())
}

func (l *Log) append(r *Record) error {
	err := l.mend()
	if err == nil {
		err = l.write(r)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	l.failed = err
	return err
}

// mend puts right what an earlier failure left, so that nothing is ever written behind it.
func (l *Log) mend() error {
	if l.closed {
		return os.ErrClosed
	}
	if l.torn {
		if err := truncate(l.file, l.end.End); err != nil {
			return fmt.Errorf("cut off a half-written line: %w", err)
		}
		l.torn = false
	}
	if l.unsynced != nil {
		l.unsynced = confirm(l.file)
	}
	return l.unsynced
}

func (l *Log) write(r *Record) error {
	r.Seq = l.end.Seq + 1
	if r.At.IsZero() {
		r.At = l.o.Now()
	}
	l.buf = appendRecord(l.buf[:0], r, &l.end.Hash)
	if l.full(int64(len(l.buf)), r.At) {
		if err := l.rotate(); err != nil {
			return fmt.Errorf("begin a new file: %w", err)
		}
	}
	if _, err := l.file.Write(l.buf); err != nil {
		l.torn = true
		return errors.Join(err, l.mend())
	}
	if l.end.End == 0 {
		l.since = r.At
	}
	l.end.End += int64(len(l.buf))
	l.end.Seq = r.Seq
	l.end.Hash = hashOf(l.buf[:len(l.buf)-1])
	if !l.dirty {
		l.dirty = true
		l.rouse()
	}
	return nil
}

// full tells whether a line of that size and time belongs into a new file. A clock that was put
// back begins one, too, so that what it wrote while it was ahead comes to an end.
func (l *Log) full(size int64, at time.Time) bool {
	if l.end.End == 0 {
		return false
	}
	tooFar := l.o.Keep > 0 && at.Sub(l.since).Abs() > min(l.o.Keep/8, 24*time.Hour)
	return tooFar || l.end.End+size > l.o.MaxSize
}

// rotate goes on in a new file. The old one is synced first: of two files only the last may
// ever end in a torn line.
func (l *Log) rotate() error {
	if err := l.file.Sync(); err != nil {
		return err
	}
	name := fileName(l.end.Seq + 1)
	next, err := openToAppend(l.dir, name, 0)
	if err != nil {
		return err
	}
	old := l.file
	l.file, l.end.File, l.end.End = next, name, 0
	l.rouse()
	return old.Close()
}

// openToAppend opens or makes a file of the log, which must have that size.
func openToAppend(dir, name string, size int64) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND|noFollow, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() != size) {
		err = &fs.PathError{Op: "open", Path: f.Name(), Err: errors.New("somebody else writes this file")}
	}
	if err == nil {
		err = atomicfile.SyncDir(dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (l *Log) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
