//go:build unix

package vault

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"keytender/installer/testbed/alone"
	"keytender/installer/testbed/disk"
)

func TestKeyFilesThatAreRefused(t *testing.T) {
	good := initKey(t)
	text := readFile(t, good)
	at := func() string { return filepath.Join(t.TempDir(), "key") }
	withMode := func(mode os.FileMode, data []byte) string {
		path := at()
		if err := errors.Join(os.WriteFile(path, data, 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link, pipe, dir := at(), at(), t.TempDir()
	if err := errors.Join(os.Symlink(good, link), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		withMode(0o644, text):             "mode 0644, not 0400 or 0600",
		withMode(0o440, text):             "mode 0440",
		withMode(0o602, text):             "mode 0602",
		withMode(0o700, text):             "mode 0700",
		withMode(0o400, nil):              "not an age identity",
		withMode(0o400, []byte(canary)):   "not an age identity",
		link:                              "symbolic link",
		pipe:                              "not a regular file",
		dir:                               "not a regular file",
		"/dev/zero":                       "not a regular file",
		filepath.Join(dir, "is-not-here"): `"keytender store init sealed --key-file FILE"`,
	} {
		st := mustOpen(t, Config{URL: "sealed:", Key: "file:" + path}, Options{Dir: t.TempDir()})
		wantError(t, st.Check(t.Context()), ErrNoKey, says, path)
		wantError(t, st.Put(t.Context(), "a", NewSecret(canary)), ErrNoKey, says)
	}
	st := mustOpen(t, Config{URL: "sealed:", Key: "file:" + withMode(0o600, text)}, Options{Dir: t.TempDir()})
	put(t, st, "a", canary)
}

func TestKeyFileOfAnotherUser(t *testing.T) {
	me := uint32(os.Geteuid())
	for owner, ok := range map[uint32]bool{me: true, 0: true, me + 1: false, 65534: me == 65534} {
		if err := ownKeyFile(ownedFile(owner)); (err == nil) != ok {
			t.Errorf("owner %d: %v, want accepted: %v", owner, err, ok)
		}
	}
}

// ownedFile is a key file of some user.
type ownedFile uint32

func (ownedFile) Name() string       { return "key" }
func (ownedFile) Size() int64        { return 1 }
func (ownedFile) Mode() fs.FileMode  { return 0o400 }
func (ownedFile) ModTime() time.Time { return time.Time{} }
func (ownedFile) IsDir() bool        { return false }
func (o ownedFile) Sys() any         { return &syscall.Stat_t{Uid: uint32(o)} }

// On a full disk: the kernel takes the first bytes and refuses the rest.
func TestPutOnAFullDiskKeepsTheOld(t *testing.T) { alone.Run(t, onFullDisk) }

func onFullDisk(t *testing.T) {
	st, dir := sealedStore(t)
	put(t, st, "a", canary)
	disk.Limit(t, 4096, func() {
		err := st.Put(t.Context(), "a", NewSecret(strings.Repeat("x", 100_000)))
		wantError(t, err, ErrUnavailable, "store a", "file too large")
	})
	want(t, st, "a", canary)
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("directory holds %v, %v", files, err)
	}
	disk.Limit(t, 64, func() {
		key := filepath.Join(t.TempDir(), "key")
		if err := InitSealed(key); !errors.Is(err, syscall.EFBIG) {
			t.Errorf("InitSealed: %v", err)
		}
		if _, err := os.Lstat(key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("half a key is left: %v", err)
		}
	})
}
