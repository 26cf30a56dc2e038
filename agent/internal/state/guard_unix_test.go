//go:build unix

package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestDirectoriesOthersHaveAHandInRefused(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, dir string) error{
		"group-writable": func(_ *testing.T, dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o770)) },
		"world-writable": func(_ *testing.T, dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o707)) },
		"symbolic link":  func(t *testing.T, dir string) error { return os.Symlink(t.TempDir(), dir) },
		"a file":         func(_ *testing.T, dir string) error { return os.WriteFile(dir, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "keytender")
			if err := make(t, dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir, machine("m1")); err == nil || !strings.Contains(err.Error(), dir) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestDirectoryBelowWhatOthersCanMoveAwayRefused(t *testing.T) {
	above := filepath.Join(t.TempDir(), "above")
	if err := errors.Join(os.Mkdir(above, 0o700), os.Chmod(above, 0o777)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(above, "keytender"), machine("m1")); err == nil || !strings.Contains(err.Error(), "others can write "+above) {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(above); len(left) != 0 {
		t.Errorf("made %v there", left)
	}
}

func TestFilesOthersHaveAHandInRefused(t *testing.T) {
	d := open(t, newDir(t), machine("m1"))
	file := d.Path("profiles.json")
	elsewhere := filepath.Join(t.TempDir(), "x.json")
	write(t, elsewhere, `{"version":1,"data":{}}`)
	for name, make := range map[string]func() error{
		"world-writable": func() error { write(t, file, `{"version":1,"data":{}}`); return os.Chmod(file, 0o602) },
		"symbolic link":  func() error { return os.Symlink(elsewhere, file) },
		"named pipe":     func() error { return syscall.Mkfifo(file, 0o600) },
		"directory":      func() error { return os.Mkdir(file, 0o700) },
	} {
		os.Remove(file)
		if err := make(); err != nil {
			t.Fatal(err)
		}
		err := d.Load("profiles", &pairing{})
		if e, ok := errors.AsType[*BrokenError](err); !ok || e.File != file {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDirectoryOfAnotherUserRefused(t *testing.T) {
	theirs := "/usr" // root's, for everybody else who runs this test
	if os.Geteuid() == 0 {
		theirs = filepath.Join(t.TempDir(), "theirs")
		if err := errors.Join(os.Mkdir(theirs, 0o700), os.Chown(theirs, 12345, 12345)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(theirs, machine("m1")); err == nil || !strings.Contains(err.Error(), "belongs to uid") {
		t.Errorf("got %v", err)
	}
}

func TestLockFileLinkNotFollowed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keytender")
	victim := filepath.Join(t.TempDir(), "victim")
	write(t, victim, "precious")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Symlink(victim, filepath.Join(dir, "lock"))); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, machine("m1")); err == nil {
		t.Error("followed the link")
	}
	if got, _ := os.ReadFile(victim); string(got) != "precious" {
		t.Errorf("the file behind it now holds %q", got)
	}
}
