package disk

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"keytender/installer/testbed/alone"
)

// Run runs test in a process that may mount: root in a user and a mount
// namespace, whose mounts end with it.
func Run(t *testing.T, test func(*testing.T)) {
	t.Helper()
	alone.Run(t, test, func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
	})
}

// Tiny mounts a disk of that size, as tmpfs reads it ("128k"), on dir until the
// test ends. It makes dir if it is missing.
func Tiny(t *testing.T, dir, size string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		t.Fatalf("mount %s: %v", dir, err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// Fill leaves no room on the disk of dir until empty is called. What takes the
// room is the file Ballast in dir.
func Fill(t *testing.T, dir string) (empty func()) {
	t.Helper()
	ballast, err := os.Create(filepath.Join(dir, Ballast))
	if err != nil {
		t.Fatal(err)
	}
	defer ballast.Close()
	for err == nil {
		_, err = ballast.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(ballast.Name()); err != nil {
			t.Fatal(err)
		}
	}
}

// Ballast is the name of the file with which Fill fills a disk.
const Ballast = "ballast"

// ReadOnly makes what is below dir read-only to who opens it from now on, until
// writable is called or the test ends.
func ReadOnly(t *testing.T, dir string) (writable func()) {
	t.Helper()
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		t.Fatalf("mount %s: %v", dir, err)
	}
	writable = sync.OnceFunc(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Fatalf("unmount %s: %v", dir, err)
		}
	})
	t.Cleanup(writable)
	if err := syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatalf("remount %s: %v", dir, err)
	}
	return writable
}
