//go:build unix

package atomicfile_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"keytender/installer/testbed/alone"
	"keytender/installer/testbed/disk"
	"keytender/vault/atomicfile"
)

func TestModeIsExact(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "f")
	for _, mode := range []os.FileMode{0o600, 0o400, 0o644, 0o640} {
		if err := atomicfile.Write(path, []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("mode %v, %v, want %v", info.Mode(), err, mode)
		}
	}
}

func TestWhatIsNoFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	target, link, pipe := filepath.Join(dir, "target"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	if err := errors.Join(os.WriteFile(target, []byte("old"), 0o600), os.Symlink("target", link), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	before := list(t, dir)
	for path, says := range map[string]string{link: "symbolic link", pipe: "special file", dir: "directory"} {
		if err := atomicfile.Write(path, []byte("new"), 0o600); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("Write %s: %v, want %q", path, err, says)
		}
	}
	if got, _ := os.ReadFile(target); string(got) != "old" {
		t.Errorf("the link's target holds %q", got)
	}
	if after := list(t, dir); after != before {
		t.Errorf("directory holds %s, before %s", after, before)
	}
}

// A write that ends half-way, as on a full disk: the limit on file sizes makes
// the kernel take the first bytes and refuse the rest.
func TestHalfWrittenLeavesTheOld(t *testing.T) {
	alone.Run(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		disk.Limit(t, 4096, func() {
			if err := atomicfile.Write(path, make([]byte, 8192), 0o600); !errors.Is(err, syscall.EFBIG) {
				t.Errorf("Write: %v, want EFBIG", err)
			}
		})
		if got, err := os.ReadFile(path); string(got) != "old" || list(t, dir) != "f" {
			t.Errorf("file holds %d bytes, %v; directory %s", len(got), err, list(t, dir))
		}
	})
}

// A reader never sees a part, and a writer that is killed leaves one of the
// two contents. The test runs itself as that writer.
func TestKilledWriterLeavesOldOrNew(t *testing.T) {
	const variable = "KEYTENDER_TEST_WRITE"
	a, b := strings.Repeat("a", 100_000), strings.Repeat("b", 50_000)
	if path := os.Getenv(variable); path != "" {
		for {
			if err := errors.Join(atomicfile.Write(path, []byte(a), 0o600), atomicfile.Write(path, []byte(b), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := atomicfile.Write(path, []byte(a), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		writer := exec.Command(os.Args[0], "-test.run=^TestKilledWriterLeavesOldOrNew$")
		writer.Env = append(os.Environ(), variable+"="+path)
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		for range 200 {
			if got, err := os.ReadFile(path); err != nil || string(got) != a && string(got) != b {
				t.Errorf("a reader saw %d bytes, %v", len(got), err)
			}
		}
		if err := writer.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = writer.Wait()
		if got, err := os.ReadFile(path); err != nil || string(got) != a && string(got) != b {
			t.Errorf("a killed writer left %d bytes, %v", len(got), err)
		}
	}
}
