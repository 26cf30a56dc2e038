package vault

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"keytender/vault/atomicfile"
)

const (
	sealedSuffix  = ".age"
	maxSealedFile = maxSecret + 64<<10 // age adds a header and 16 bytes to every 64 KiB
)

// folder is a directory of sealed files, one an entry. The zero value is no
// directory: nothing is in it and nothing can be written.
type folder struct{ dir string }

// path is one to one: "+" is in no name, and no name differs in case only.
func (f folder) path(name string) string {
	return filepath.Join(f.dir, strings.ReplaceAll(name, "/", "+")+sealedSuffix)
}

// read returns the file of an entry; fs.ErrNotExist where there is none.
func (f folder) read(name string) ([]byte, error) {
	if f.dir == "" {
		return nil, fs.ErrNotExist
	}
	file, err := os.Open(f.path(name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxSealedFile+1))
	if err == nil && len(data) > maxSealedFile {
		err = fmt.Errorf("read %s: larger than any sealed file", file.Name())
	}
	return data, err
}

func (f folder) write(name string, data []byte) error {
	if f.dir == "" {
		return errors.New("no directory for sealed files was given")
	}
	if err := f.make(); err != nil {
		return err
	}
	return atomicfile.Write(f.path(name), data, 0o600)
}

func (f folder) make() error {
	err := os.Mkdir(f.dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = os.MkdirAll(f.dir, 0o700)
	}
	if err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(f.dir))
}

func (f folder) remove(name string) error {
	if f.dir == "" {
		return nil
	}
	return atomicfile.Remove(f.path(name))
}

// empty reports whether no entry was ever sealed here.
func (f folder) empty() (bool, error) {
	entries, err := os.ReadDir(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), sealedSuffix) {
			return false, nil
		}
	}
	return err == nil, err
}

// ofDisk is why a disk takes nothing, and what to do: both empty where it was
// something else.
func ofDisk(err error) (why, todo string) {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "no space left on its disk", "free space there and try again"
	case errors.Is(err, syscall.EROFS):
		return "its disk is read-only", "make it writable and try again"
	}
	return "", ""
}
