package audit

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"keytender/installer/testbed/disk"
)

// TestFullDiskFailsClosedAndHeals fills a file system of its own.
func TestFullDiskFailsClosedAndHeals(t *testing.T) { disk.Run(t, onTinyDisk) }

func onTinyDisk(t *testing.T) {
	tiny := t.TempDir()
	disk.Tiny(t, tiny, "128k")
	dir := filepath.Join(tiny, "audit")
	ballast := filepath.Join(tiny, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 32<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	l := open(t, dir, Options{MaxSize: 16 << 10})
	good := 0
	for range 3 {
		good += untilFull(t, l)
		verified(t, dir, good)
		if r, _ := Verify(dir); r.CutOff {
			t.Error("a piece of a line was left behind")
		}
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.AppendSync(usual()), l.Err(), l.Close()); err != nil {
		t.Errorf("there is room again: %v", err)
	}
	verified(t, dir, good+1)
	if r, _ := Verify(dir); r.Files < 3 {
		t.Errorf("only %d files: rotation was not tried on the full disk", r.Files)
	}
}

// untilFull appends until the disk is full, then makes sure that it stays so, and counts what
// was taken.
func untilFull(t *testing.T, l *Log) (good int) {
	for l.Append(usual()) == nil {
		good++
	}
	for range 10 {
		err := l.Append(usual())
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, syscall.ENOSPC) || !errors.Is(l.Err(), ErrUnavailable) {
			t.Fatalf("full: %v, Err %v", err, l.Err())
		}
	}
	return good
}
