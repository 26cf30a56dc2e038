package audit

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const day = 24 * time.Hour

// daily makes a closed log of files that are a day apart and hold one record each.
func daily(t *testing.T, dir string, files int) {
	t.Helper()
	for range files {
		l := open(t, dir, Options{Keep: 3650 * day}) // for an age at which files are begun
		fill(t, l, 1)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(day + time.Minute)
	}
	remain(t, dir, files)
}

func remain(t *testing.T, dir string, files int) {
	t.Helper()
	if names, err := fileNames(dir); err != nil || len(names) != files {
		t.Errorf("%d files, %v; want %d", len(names), err, files)
	}
	if r, err := Verify(dir); err != nil {
		t.Errorf("verify: %+v, %v", r, err)
	}
}

// TestPrunedByOneWhoNeverRunsLong: each start after an hour's rest deletes a file, and starts in
// a row, as of a service that fails, delete no more than one.
func TestPrunedByOneWhoNeverRunsLong(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		daily(t, dir, 20)
		session := func() {
			l := open(t, dir, Options{Keep: 5 * day})
			fill(t, l, 1)
			time.Sleep(10 * time.Minute)
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
		session() // begins a file, and deletes one at the start or for that one
		remain(t, dir, 20)
		for range 5 {
			time.Sleep(2 * time.Hour)
			session()
		}
		remain(t, dir, 15)
		for range 5 {
			session()
		}
		remain(t, dir, 15)
	})
}

// TestFileBegunAtTheStartCounts: the first record of an agent may already begin a file, before
// anything in the background has looked.
func TestFileBegunAtTheStartCounts(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		daily(t, dir, 20)
		session := func(long time.Duration) {
			l := open(t, dir, Options{Keep: 10 * day})
			fill(t, l, 1)
			time.Sleep(long)
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
		session(time.Minute) // begins a file, and deletes one
		time.Sleep(day - 10*time.Minute)
		session(0) // too short to delete any
		remain(t, dir, 20)
		time.Sleep(30 * time.Minute)
		session(time.Minute) // after no hour's rest
		remain(t, dir, 20)
	})
}

// TestClockThatWasAheadStopsNoPruning: its records seem to be young for years to come.
func TestClockThatWasAheadStopsNoPruning(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		l := open(t, dir, Options{Keep: 10 * day, Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
		days := func(n int) {
			for range n {
				fill(t, l, 1)
				time.Sleep(day + time.Hour)
			}
		}
		ahead.Store(int64(400 * day))
		days(3)
		ahead.Store(0)
		days(7)
		remain(t, dir, 10) // nothing goes too early
		days(20)
		l.Close()
		names, err := fileNames(dir)
		if err != nil || len(names) > 12 {
			t.Errorf("%d files, %v: those of the clock that was ahead hold up the others", len(names), err)
		}
		if r, err := Verify(dir); err != nil {
			t.Errorf("verify: %+v, %v", r, err)
		}
	})
}
