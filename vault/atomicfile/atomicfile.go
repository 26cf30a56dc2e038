// Package atomicfile replaces a file as a whole: a reader, and a machine that
// loses power, sees the old content or the new, never a part of either.
//
//	data ─► temp file beside the target ─► fsync ─► rename ─► fsync of the directory
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// Write makes path hold exactly data, with exactly mode whatever the umask.
// When it returns nil, the content survives a power cut.
//
// The directory must exist. Where path is already there it must be a regular
// file: a symbolic link is refused rather than followed or replaced.
// After an error the old content is still in place and no temporary file is
// left, with one exception: an error from the last step, the fsync of the
// directory, says that the new content is in place but may not be durable.
// Only a process killed half-way leaves a temporary file, named ".NAME-*.tmp".
// Concurrent writers do not mix: the last rename wins.
// On Windows mode can only mean read-only or not, and directories are not synced.
func Write(path string, data []byte, mode os.FileMode) error {
	if err := replaceable(path); err != nil {
		return err
	}
	temp, err := writeTemp(path, data, mode)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return SyncDir(filepath.Dir(path))
}

// Remove deletes the file at path, durably. A file that is not there is no error.
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes durable which names the directory dir holds. Some file systems
// cannot sync a directory and say so; for them there is nothing to wait for.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

func replaceable(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("replace %s: it is a %s, not a regular file", path, kindOf(info.Mode()))
	}
	return nil
}

func kindOf(mode os.FileMode) string {
	switch {
	case mode.IsDir():
		return "directory"
	case mode&fs.ModeSymlink != 0:
		return "symbolic link"
	default:
		return "special file"
	}
}

// writeTemp returns the name of a synced file beside path that holds data.
// After an error there is no such file.
func writeTemp(path string, data []byte, mode os.FileMode) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*.tmp")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	if _, err := f.Write(data); err != nil {
		return "", err
	}
	if err := f.Chmod(mode); err != nil {
		return "", err
	}
	if err := f.Sync(); err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}
