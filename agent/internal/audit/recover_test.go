package audit

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func appendRaw(t *testing.T, file, raw string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(raw)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestTornLastLineIsCutOffAndRecorded(t *testing.T) {
	for name, torn := range map[string]string{
		"half a line":         `{"seq":21,"at":"2026-`,
		"zeros":               strings.Repeat("\x00", 5000),
		"zeros, then a line":  "\x00\x00\x00\"}\n" + `{"seq":22}` + "\n",
		"a line but no end":   `{"seq":21,"prev":""}`,
		"half an UTF-8 point": "{\"user\":\"\xc3",
	} {
		t.Run(name, func(t *testing.T) {
			dir := written(t, 20)
			names, _ := fileNames(dir)
			appendRaw(t, filepath.Join(dir, names[len(names)-1]), torn)
			if !strings.Contains(torn, "\n") {
				if r := verified(t, dir, 20); !r.CutOff {
					t.Error("verify saw no torn line")
				}
			}
			l := open(t, dir, Options{})
			fill(t, l, 1)
			l.Close()
			if r := verified(t, dir, 22); !r.CutOff {
				t.Error("forgotten that the log was cut off")
			}
			if got := events(t, dir, Filter{}); got[20] != eventCutOff || got[21] != "token" {
				t.Errorf("events at the end: %v", got[19:])
			}
		})
	}
}

func TestLinesAfterTheHeadAreKept(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{MaxSize: 1500})
	head, err := os.ReadFile(filepath.Join(dir, headName))
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 20)
	l.Close()
	// As after a crash before the first sync: the head still stands at the beginning.
	if err := os.WriteFile(filepath.Join(dir, headName), head, 0o600); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, Options{MaxSize: 1500})
	fill(t, l, 1)
	l.Close()
	verified(t, dir, 21)
}

func TestCrashBetweenNewFileAndItsFirstLine(t *testing.T) {
	dir := written(t, 20)
	if err := os.WriteFile(filepath.Join(dir, fileName(21)), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	verified(t, dir, 20)
	l := open(t, dir, Options{})
	fill(t, l, 1)
	l.Close()
	verified(t, dir, 21)
	if raw, _ := os.ReadFile(filepath.Join(dir, fileName(21))); len(raw) == 0 {
		t.Error("the new file was not taken")
	}
}

func TestLostHeadIsMadeAnewAndRecorded(t *testing.T) {
	for name, spoil := range map[string]func(file string) error{
		"missing":                 os.Remove,
		"zeros":                   func(file string) error { return os.WriteFile(file, make([]byte, headSize), 0o600) },
		"a negative end":          func(file string) error { return headOf(file, `"end":-5,"seq":20`) },
		"no end":                  func(file string) error { return headOf(file, `"seq":20`) },
		"no record":               func(file string) error { return headOf(file, `"end":5,"seq":0`) },
		"more records than bytes": func(file string) error { return headOf(file, `"end":5,"seq":18446744073709551615`) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := written(t, 20)
			if err := spoil(filepath.Join(dir, headName)); err != nil {
				t.Fatal(err)
			}
			if _, err := Verify(dir); err == nil {
				t.Error("verify does not miss the head")
			}
			open(t, dir, Options{}).Close()
			verified(t, dir, 21)
			if got := events(t, dir, Filter{}); got[20] != eventHeadLost {
				t.Errorf("last event %s", got[20])
			}
		})
	}
}

// headOf writes a head for a log's first file.
func headOf(file, fields string) error {
	head := `{"file":"` + fileName(1) + `",` + fields + `,"hash":"` + hash{}.String() + `"}`
	return os.WriteFile(file, []byte(head), 0o600)
}

func TestHeadBeyondTheEndIsNotBelieved(t *testing.T) {
	dir := written(t, 20)
	for _, end := range []string{"1048576", "9223372036854775807"} {
		if err := headOf(filepath.Join(dir, headName), `"end":`+end+`,"seq":20`); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir, Options{})
		if _, ok := errors.AsType[*BrokenError](err); !ok {
			t.Errorf("end %s: %v", end, err)
		}
	}
}

func FuzzHead(f *testing.F) {
	at := position{File: fileName(1), End: 300, Seq: 1, Hash: hashOf(nil)}
	for _, seed := range []string{`{"end":-5}`, `{"file":"` + at.File + `","end":9223372036854775807,"seq":3}`, ""} {
		f.Add([]byte(seed))
	}
	raw, err := json.Marshal(at)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		at, ok := parseHead(raw)
		if !ok {
			return
		}
		if _, err := lineBefore(strings.NewReader("{}\n"), at.End); err == nil && at.End != 3 {
			t.Errorf("%q leads to a line", raw)
		}
		again, err := json.Marshal(at)
		if err != nil || len(again) > headSize-1 {
			t.Fatalf("%q does not fit: %s, %v", raw, again, err)
		}
		if same, ok := parseHead(again); !ok || same != at {
			t.Errorf("%q comes back as %q", raw, again)
		}
	})
}

func TestAllFilesGoneIsNoNewLog(t *testing.T) {
	dir := written(t, 20)
	names, _ := fileNames(dir)
	for _, name := range names {
		os.Remove(filepath.Join(dir, name))
	}
	if _, err := Verify(dir); err == nil {
		t.Error("verify")
	}
	_, err := Open(dir, Options{})
	if _, ok := errors.AsType[*BrokenError](err); !ok {
		t.Errorf("open: %v", err)
	}
}

func TestFileTakenAwayFailsClosed(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	fill(t, l, 1)
	file := filepath.Join(dir, fileName(1))
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	if err := l.AppendSync(usual()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := l.Append(usual()); !errors.Is(err, ErrUnavailable) || l.Err() == nil {
		t.Errorf("got %v, Err %v", err, l.Err())
	}
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Append(usual()), l.Err(), l.Close()); err != nil {
		t.Error(err)
	}
	verified(t, dir, 3)
}
