package atomicfile_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"keytender/vault/atomicfile"
)

// Root may write where the mode forbids it, so root's directory is a read-only
// file system, mounted in a namespace that ends with the process.
func TestReadOnlyDirectory(t *testing.T) {
	const variable = "KEYTENDER_TEST_READONLY"
	if dir := os.Getenv(variable); dir != "" {
		mountReadOnly(t, dir)
		refusesToWrite(t, dir)
		return
	}
	dir := t.TempDir()
	if os.Geteuid() != 0 {
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "f"), []byte("old"), 0o600), os.Chmod(dir, 0o500)); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(dir, 0o700)
		refusesToWrite(t, dir)
		return
	}
	inside := exec.Command(os.Args[0], "-test.run=^TestReadOnlyDirectory$", "-test.v")
	inside.Env = append(os.Environ(), variable+"="+dir)
	inside.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := inside.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func mountReadOnly(t *testing.T, dir string) {
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatalf("mount: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	fills(t, dir)
	if err := syscall.Mount("none", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatalf("remount: %v", err)
	}
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
