package vault

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"keytender/installer/testbed/disk"
)

// TestDiskThatTakesNothingIsSaidToBeWhy fills a disk of its own, and then makes it read-only.
func TestDiskThatTakesNothingIsSaidToBeWhy(t *testing.T) { disk.Run(t, onTinyDisk) }

func onTinyDisk(t *testing.T) {
	dir := t.TempDir()
	disk.Tiny(t, dir, "128k")
	ring, _, _ := fakeKeyring(t)
	ring.files = folder{filepath.Join(dir, "keyring")}
	stores := []blobs{ring, mustOpen(t, Config{URL: "sealed:", Key: "file:" + initKey(t)}, Options{Dir: dir})}
	large := canary + strings.Repeat("x", 20<<10)
	for _, st := range stores {
		put(t, st, "a", large)
	}
	disk.Fill(t, dir)
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
	disk.ReadOnly(t, dir)
	saysWhy(syscall.EROFS, "its disk is read-only", "make it writable and try again")
}
