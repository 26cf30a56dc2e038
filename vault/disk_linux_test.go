package vault

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDiskThatTakesNothingIsSaidToBeWhy fills a disk of its own, mounted in the user namespace
// of a child process, and then makes it read-only.
func TestDiskThatTakesNothingIsSaidToBeWhy(t *testing.T) {
	if disk := os.Getenv("KEYTENDER_VAULT_DISK"); disk != "" {
		onTinyDisk(t, disk)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "KEYTENDER_VAULT_DISK="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func onTinyDisk(t *testing.T, disk string) {
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=128k,mode=0700"); err != nil {
		t.Fatal(err)
	}
	ring, _, _ := fakeKeyring(t)
	ring.files = folder{filepath.Join(disk, "keyring")}
	stores := []blobs{ring, mustOpen(t, Config{URL: "sealed:", Key: "file:" + initKey(t)}, Options{Dir: disk})}
	large := canary + strings.Repeat("x", 20<<10)
	for _, st := range stores {
		put(t, st, "a", large)
	}
	if err := os.WriteFile(filepath.Join(disk, "ballast"), make([]byte, 128<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	saysWhy := func(cause error, why, todo string) {
		t.Helper()
		for _, st := range stores {
			err := st.Put(t.Context(), "a", NewSecret(large+"2"))
			wantError(t, err, ErrUnavailable)
			if e, ok := errors.AsType[*Error](err); !ok || e.Why != why || e.Todo != todo || !errors.Is(err, cause) {
				t.Errorf("%s: %#v", st, e)
			}
			want(t, st, "a", large)
		}
	}
	saysWhy(syscall.ENOSPC, "no space left on its disk", "free space there and try again")
	if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	saysWhy(syscall.EROFS, "its disk is read-only", "make it writable and try again")
}
