// Package state keeps the agent's own files: what it must know again after a restart.
// Secrets are not among them; those rest in a vault.Store.
//
//	Open            directory (0700, owner checked) → lock (one agent) → state.json (version, machine) → Dir
//	Save(name, v)   v → {"version":1,"data":v} → temp, fsync, rename → name.json, 0600
//	Load(name, v)   name.json → version → strict decoding → v
//
// A file that cannot be understood in full stops the agent and stays as it is: the errors
// *BrokenError, *VersionError and *ForeignError name it. Nothing here repairs by overwriting.
package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"keytender/vault/atomicfile"
)

// Options tell Open about its surroundings. The zero value is what the agent uses.
type Options struct {
	// MachineID gives the raw id of this machine, or an error that wraps ErrNoMachineID where
	// there is none. Nil asks the operating system. The raw id is never written anywhere.
	MachineID func() ([]byte, error)
	// Now is the wall clock; nil is time.Now.
	Now func() time.Time
}

// Dir is the agent's state directory, locked for as long as it is open.
// Its methods may be called by many goroutines at once.
type Dir struct {
	path   string
	origin origin

	mu   sync.Mutex // one Save at a time, and none after Close
	lock *os.File   // nil once closed
}

// Open opens the state in dir and locks it; the caller owns the result and must Close it.
//
// A missing directory is made with mode 0700. One that is a symbolic link, belongs to somebody
// else or can be written by group or others is refused, and so is one that somebody else could
// put another in the place of, by a directory above it. *HeldError: another agent has it.
// *BrokenError, *VersionError: a file that must not be touched. *ForeignError: the state was
// made on another machine.
func Open(dir string, o Options) (*Dir, error) {
	if o.MachineID == nil {
		o.MachineID = machineID
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open the state: %w", err)
	}
	if err := makeDir(path); err != nil {
		return nil, fmt.Errorf("open the state: %w", err)
	}
	lock, err := takeLock(path, o.Now())
	if err != nil {
		return nil, err
	}
	d := &Dir{path: path, lock: lock}
	if err := d.identify(o.MachineID); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Path joins elem to the directory's absolute path.
func (d *Dir) Path(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// Load reads what was saved under name into v, which must be a pointer as for json.Unmarshal.
// Where nothing was saved yet it leaves v alone and returns nil. Unknown fields, a truncated
// file and a file that others can write are *BrokenError; a newer one is *VersionError.
func (d *Dir) Load(name string, v any) error {
	if err := checkName(name); err != nil {
		return err
	}
	_, err := d.load(name, v)
	return err
}

// Save replaces what is saved under name with v: after a return of nil the new value is on
// disk, after an error the old one still is. It refuses to replace a file that is broken or
// newer than this program, fails with ErrTooLarge for what Load would not take back, and with
// os.ErrClosed once the lock is gone.
func (d *Dir) Save(name string, v any) error {
	if err := checkName(name); err != nil {
		return err
	}
	return d.save(name, v)
}

// Close gives the lock back. A second Close does nothing.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lock == nil {
		return nil
	}
	err := releaseLock(d.lock)
	d.lock = nil
	return err
}

func (d *Dir) load(name string, v any) (found bool, err error) {
	file := d.Path(name + ".json")
	raw, err := readFile(file)
	if err != nil || raw == nil {
		return false, err
	}
	return true, decode(file, raw, v)
}

func (d *Dir) save(name string, v any) error {
	raw, err := encode(v)
	if err != nil {
		return fmt.Errorf("save %s: %w", name, err)
	}
	if len(raw) > maxFile {
		return fmt.Errorf("save %s: %w: %d bytes, and at most %d can be read again", name, ErrTooLarge, len(raw), maxFile)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lock == nil {
		return fmt.Errorf("save %s: the state: %w", name, os.ErrClosed)
	}
	if _, err := d.load(name, nil); err != nil {
		return err
	}
	if err := atomicfile.Write(d.Path(name+".json"), raw, 0o600); err != nil {
		return fmt.Errorf("save %s: %w", name, err)
	}
	return nil
}
