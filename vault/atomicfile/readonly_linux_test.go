package atomicfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"keytender/installer/testbed/disk"
	"keytender/vault/atomicfile"
)

// Root may write where the mode forbids it, so root, as which disk.Run runs the
// test, has a directory on a disk that is read-only.
func TestReadOnlyDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		dir := t.TempDir()
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "f"), []byte("old"), 0o600), os.Chmod(dir, 0o500)); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(dir, 0o700)
		refusesToWrite(t, dir)
	}
	disk.Run(t, func(t *testing.T) {
		dir := t.TempDir()
		disk.Tiny(t, dir, "64k")
		if err := os.WriteFile(filepath.Join(dir, "f"), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		fills(t, dir)
		disk.ReadOnly(t, dir)
		refusesToWrite(t, dir)
	})
}

// fills writes more than the 64 KiB that the file system has.
func fills(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	if err := atomicfile.Write(path, make([]byte, 128<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Write on a full disk: %v, want ENOSPC", err)
	}
	if got, err := os.ReadFile(path); string(got) != "old" || list(t, dir) != "f" {
		t.Errorf("file holds %q, %v; directory %s", got, err, list(t, dir))
	}
}

func refusesToWrite(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	for what, err := range map[string]error{
		"Write":     atomicfile.Write(path, []byte("new"), 0o600),
		"Write new": atomicfile.Write(filepath.Join(dir, "g"), []byte("new"), 0o600),
		"Remove":    atomicfile.Remove(path),
	} {
		if !errors.Is(err, syscall.EROFS) && !errors.Is(err, syscall.EACCES) {
			t.Errorf("%s: %v, want a refusal", what, err)
		}
	}
	if got, err := os.ReadFile(path); string(got) != "old" || list(t, dir) != "f" {
		t.Errorf("file holds %q, %v; directory %s", got, err, list(t, dir))
	}
}
