//go:build linux || darwin

package door

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func mustListen(t *testing.T, path string, mode os.FileMode) net.Listener {
	t.Helper()
	l, err := ListenUnix(path, mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func mustRefuse(t *testing.T, path, why string) {
	t.Helper()
	l, err := ListenUnix(path, 0o600)
	if err == nil {
		l.Close()
		t.Fatalf("listens on %s", path)
	}
	if !strings.Contains(err.Error(), why) {
		t.Errorf("%v: does not say %q", err, why)
	}
}

// stale leaves a socket at path that nobody listens on.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func modeOf(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestSocketHasItsModeWhateverTheUmask(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o777 &^ 0o700} {
		old := syscall.Umask(umask)
		path := filepath.Join(shortDir(t), "a", "b", "k.sock")
		l, err := ListenUnix(path, 0o660)
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		if mode := modeOf(t, path); mode != 0o660 {
			t.Errorf("umask %03o: socket %04o", umask, mode)
		}
		for _, dir := range []string{filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
			if mode := modeOf(t, dir); mode != 0o700 {
				t.Errorf("umask %03o: %s %04o", umask, dir, mode)
			}
		}
		l.Close()
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(shortDir(t), "k.sock")
	stale(t, path)
	mustListen(t, path, 0o600)
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestSocketThatAnswersIsLeftAlone(t *testing.T) {
	path := filepath.Join(shortDir(t), "k.sock")
	other, err := net.Listen("unix", path) // of a program that knows no lock
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	mustRefuse(t, path, "another program answers there")
	if _, err := net.Dial("unix", path); err != nil {
		t.Errorf("it is gone: %v", err)
	}
}

func TestOneOfManyGetsTheSocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "k.sock")
	stale(t, path)
	var all sync.WaitGroup
	got := make(chan net.Listener, 16)
	for range cap(got) {
		all.Go(func() {
			if l, err := ListenUnix(path, 0o600); err == nil {
				got <- l
			}
		})
	}
	all.Wait()
	if len(got) != 1 {
		t.Errorf("%d listen", len(got))
	}
	for range len(got) {
		(<-got).Close()
	}
	mustListen(t, path, 0o600)
}

func TestSecondAgentIsToldWhy(t *testing.T) {
	path := filepath.Join(shortDir(t), "k.sock")
	mustListen(t, path, 0o600)
	mustRefuse(t, path, "another agent has it")
}

func TestWhatIsNoSocketIsLeftAlone(t *testing.T) {
	dir := shortDir(t)
	file, link, folder := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "folder")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(dir, "target.sock")
	stale(t, target)
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, folder} {
		mustRefuse(t, path, "not a socket")
	}
	if kept, err := os.ReadFile(file); err != nil || string(kept) != "precious" {
		t.Errorf("%q, %v", kept, err)
	}
	if _, err := os.Lstat(target); err != nil {
		t.Error("the target of a link was removed")
	}
}

func TestDirectoryMustBeOurOwn(t *testing.T) {
	dir := shortDir(t)
	for _, mode := range []uint32{0o777, 0o770, 0o1777} {
		open := filepath.Join(dir, "open")
		if err := os.MkdirAll(open, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Chmod(open, mode); err != nil {
			t.Fatal(err)
		}
		mustRefuse(t, filepath.Join(open, "k.sock"), "others can write "+open)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(shortDir(t), link); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, filepath.Join(link, "k.sock"), "symbolic link")

	foreign := "/" // root's
	if os.Getuid() == 0 {
		foreign = filepath.Join(dir, "foreign")
		if err := os.Mkdir(foreign, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(foreign, 4242, -1); err != nil {
			t.Fatal(err)
		}
	}
	mustRefuse(t, filepath.Join(foreign, "k.sock"), "belongs to uid")
}

func TestDirectoryBelowWhatOthersCanMoveAwayRefused(t *testing.T) {
	above := filepath.Join(shortDir(t), "above")
	if err := os.MkdirAll(filepath.Join(above, "agent"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(above, 0o777); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, filepath.Join(above, "agent", "k.sock"), "others can write "+above)
	if os.Getuid() != 0 {
		return // cannot give a directory away
	}
	if err := errors.Join(os.Chmod(above, 0o755), os.Chown(above, 65534, -1)); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, filepath.Join(above, "agent", "k.sock"), above+" belongs to uid 65534")
}

func TestPathsThatCannotBe(t *testing.T) {
	mustRefuse(t, "k.sock", "absolute")
	mustRefuse(t, shortDir(t)+"/../k.sock", "detours")
	mustRefuse(t, filepath.Join(shortDir(t), strings.Repeat("x", 120)), "choose a shorter one")
}

func TestCloseTakesAwayOnlyItsOwn(t *testing.T) {
	path := filepath.Join(shortDir(t), "k.sock")
	l := mustListen(t, path, 0o600)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
	l = mustListen(t, path, 0o600)
	if err := os.Rename(path, path+".old"); err != nil { // keeps its inode from being given out again
		t.Fatal(err)
	}
	stale(t, path)
	l.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("another's socket is gone: %v", err)
	}
}
