package audit

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// usual is what the hot path writes.
func usual() Record {
	return Record{Event: "token", UID: 1000, User: "robot1", PID: 811, Door: "workload", Source: "peercred",
		Profile: "invoices", Scopes: "OR.Jobs OR.Queues", Ruling: "r_91", Fingerprint: "0123456789abcdef"}
}

func open(t testing.TB, dir string, o Options) *Log {
	t.Helper()
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// fill appends n usual records.
func fill(t testing.TB, l *Log, n int) {
	t.Helper()
	for range n {
		if err := l.Append(usual()); err != nil {
			t.Fatal(err)
		}
	}
}

// written makes a closed log of n records in several files.
func written(t testing.TB, n int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	l := open(t, dir, Options{MaxSize: 1500})
	fill(t, l, n)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func verified(t *testing.T, dir string, records int) Report {
	t.Helper()
	r, err := Verify(dir)
	if err != nil || r.Records != uint64(records) {
		t.Errorf("verify: %+v, %v; want %d records", r, err, records)
	}
	return r
}

func events(t *testing.T, dir string, f Filter) (events []string) {
	t.Helper()
	for raw, err := range Read(dir, f) {
		var r struct{ Event string }
		if err != nil || json.Unmarshal(raw, &r) != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		events = append(events, r.Event)
	}
	return events
}

func TestChainGoesOnAcrossFilesAndRestarts(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		l := open(t, dir, Options{MaxSize: 1500})
		fill(t, l, 10)
		if err := l.AppendSync(Record{Event: "stop", UID: -1}); err != nil {
			t.Fatal(err)
		}
		verified(t, dir, 11*(i+1))
		if err := errors.Join(l.Err(), l.Close(), l.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if r := verified(t, dir, 33); r.Files < 5 || len(r.Head) != 64 || r.CutOff || r.Pruned != 0 {
		t.Errorf("report %+v", r)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, name := range names {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 || info.Size() > 1500 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

func TestLineAsDocumented(t *testing.T) {
	dir := t.TempDir()
	at := time.Date(2026, 11, 21, 23, 12, 13, 456789000, time.FixedZone("CET", 3600))
	l := open(t, dir, Options{Now: func() time.Time { return at }})
	fill(t, l, 1)
	if err := l.Append(Record{At: at.Add(time.Second), Event: "start", UID: -1}); err != nil {
		t.Fatal(err)
	}
	l.Close()
	raw, err := os.ReadFile(filepath.Join(dir, "audit-00000000000000000001.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	first, second, _ := strings.Cut(strings.TrimSuffix(string(raw), "\n"), "\n")
	want := `{"seq":1,"at":"2026-11-21T22:12:13.456789Z","event":"token","uid":1000,"user":"robot1","pid":811,` +
		`"door":"workload","source":"peercred","profile":"invoices","scopes":"OR.Jobs OR.Queues","ruling":"r_91",` +
		`"fingerprint":"0123456789abcdef","prev":"` + strings.Repeat("0", 64) + `"}`
	if first != want {
		t.Errorf("got  %s\nwant %s", first, want)
	}
	want = `{"seq":2,"at":"2026-11-21T22:12:14.456789Z","event":"start","prev":"` + hashOf([]byte(first)).String() + `"}`
	if second != want {
		t.Errorf("got  %s\nwant %s", second, want)
	}
}

func TestManyAppendAtOnce(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{MaxSize: 20 << 10})
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			for i := range 100 {
				do := l.Append
				if g == 0 && i%10 == 0 {
					do = l.AppendSync
				}
				if err := do(usual()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Go(func() {
		for range 5 {
			if r, err := Verify(dir); err != nil {
				t.Errorf("verify while writing: %+v, %v", r, err)
			}
		}
	})
	all.Wait()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	verified(t, dir, 1600)
}

func TestSyncedWithoutBeingAsked(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	fill(t, l, 3)
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if head, ok, err := readHead(dir); ok && err == nil && head.Seq == 3 {
			return
		}
	}
	t.Error("the head does not follow")
}

func TestReadFilters(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := open(t, dir, Options{MaxSize: 400, Now: func() time.Time { return now }})
	for i, r := range []Record{{Event: "a", Profile: "p"}, {Event: "b"}, {Event: "c", Profile: "p"}, {Event: "d", Profile: "q"}} {
		now = now.AddDate(0, i, 0)
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		filter Filter
		want   string
	}{
		{Filter{}, "a b c d"},
		{Filter{Profile: "p"}, "a c"},
		{Filter{Since: now}, "d"},
		{Filter{Profile: "p", Since: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)}, "c"},
	} {
		if got := strings.Join(events(t, dir, c.filter), " "); got != c.want {
			t.Errorf("%+v: %s, want %s", c.filter, got, c.want)
		}
	}
	for range Read(dir, Filter{}) {
		break // must not panic
	}
}

func TestPrunedByAgeStillVerifies(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := open(t, dir, Options{Keep: 30 * 24 * time.Hour})
		for range 60 {
			fill(t, l, 2)
			time.Sleep(25 * time.Hour)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	names, err := fileNames(dir)
	if err != nil || len(names) < 28 || len(names) > 33 {
		t.Errorf("%d files, %v", len(names), err)
	}
	r, err := Verify(dir)
	if err != nil || r.Pruned == 0 || r.Pruned != firstSeq(names[0])-1 {
		t.Errorf("verify: %+v, %v", r, err)
	}
	if err := os.Remove(filepath.Join(dir, names[0])); err != nil {
		t.Fatal(err)
	}
	_, err = Verify(dir)
	if e, ok := errors.AsType[*BrokenError](err); !ok || e.File != names[1] || e.Line != 1 || e.Seq != firstSeq(names[1]) {
		t.Errorf("one more file deleted without a record: %v", err)
	}
}

func TestClockThatJumpsAheadDoesNotTakeTheLog(t *testing.T) {
	const day = 24 * time.Hour
	dir := t.TempDir()
	remain := func(when string, least, most int) {
		t.Helper()
		if names, err := fileNames(dir); err != nil || len(names) < least || len(names) > most {
			t.Errorf("%s: %d files, %v; want %d to %d", when, len(names), err, least, most)
		}
		if r, err := Verify(dir); err != nil {
			t.Errorf("%s: %+v, %v", when, r, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		o := Options{Keep: 30 * day, MaxSize: 1500, Now: now} // so small that records of pruning begin files
		l := open(t, dir, o)
		for range 20 {
			fill(t, l, 1)
			time.Sleep(day + time.Hour)
		}
		remain("before", 20, 20)
		ahead.Store(int64(365 * day))
		time.Sleep(2 * time.Hour)
		remain("nothing recorded since", 20, 20)
		fill(t, l, 1)
		time.Sleep(30 * time.Minute)
		remain("half an hour later", 19, 21)
		time.Sleep(5 * time.Hour)
		remain("five hours later", 13, 18)
		for range 3 {
			l.Close()
			l = open(t, dir, o)
			time.Sleep(time.Minute)
		}
		remain("started three times", 13, 18)
		ahead.Store(0)
		before, _ := fileNames(dir)
		time.Sleep(5 * day)
		remain("put right", len(before), len(before))
		l.Close()
	})
}

func TestAfterCloseNothingIsTaken(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	l.Close()
	for _, err := range []error{l.Append(usual()), l.AppendSync(usual())} {
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, os.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	l := open(b, b.TempDir(), Options{})
	r := usual()
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Append(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendParallel(b *testing.B) {
	l := open(b, b.TempDir(), Options{})
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Append(usual()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
