package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// files reads all of a log's files as lines, line feeds included.
func files(t *testing.T, dir string) (names []string, content [][][]byte) {
	t.Helper()
	names, err := fileNames(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.SplitAfter(raw, []byte{'\n'})
		content = append(content, lines[:len(lines)-1])
	}
	return names, content
}

func rewrite(t *testing.T, dir, name string, lines ...[]byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), bytes.Join(lines, nil), 0o600); err != nil {
		t.Fatal(err)
	}
}

func wantBroken(t *testing.T, err error, file string, line int, seq uint64) {
	t.Helper()
	e, ok := errors.AsType[*BrokenError](err)
	if !ok || e.File != file || e.Line != line || e.Seq != seq {
		t.Errorf("got %v; want %s line %d record %d", err, file, line, seq)
	}
}

func joined(parts ...[][]byte) (all [][]byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// TestEveryChangedLineIsNamed changes each line of a log of several files in turn, in each of
// the ways there are, and wants to be told exactly where.
func TestEveryChangedLineIsNamed(t *testing.T) {
	dir := written(t, 20)
	names, content := files(t, dir)
	if len(names) < 4 {
		t.Fatalf("only %d files", len(names))
	}
	seq := uint64(0)
	for f, name := range names {
		all := content[f]
		for i, line := range all {
			seq++
			in := func(what string, lines [][]byte, at int, seq uint64) {
				t.Helper()
				rewrite(t, dir, name, lines...)
				_, err := Verify(dir)
				t.Run(fmt.Sprintf("%s %d", what, seq), func(t *testing.T) { wantBroken(t, err, name, at, seq) })
			}
			edit := func(old, new string) [][]byte {
				changed := bytes.Replace(line, []byte(old), []byte(new), 1)
				if bytes.Equal(changed, line) {
					t.Fatalf("nothing to change in %s", line)
				}
				return joined(all[:i], [][]byte{changed}, all[i+1:])
			}
			in("text", edit("robot1", "robot2"), i+1, seq)
			in("key", edit(`"uid"`, `"uiD"`), i+1, seq)
			in("number", edit(`"seq":`, `"seq":9`), i+1, seq)
			in("no JSON", edit(`{`, ` `), i+1, seq)
			in("blank at the end", edit("\n", " \n"), i+1, seq)
			prev := string(line[len(line)-8 : len(line)-3])
			other := "00000"
			if prev == other {
				other = "11111"
			}
			in("hash", edit(prev+`"}`, other+`"}`), i+1, seq)
			in("inserted", joined(all[:i], [][]byte{line, line}, all[i+1:]), i+2, seq+1)
			if i+1 < len(all) {
				in("deleted", joined(all[:i], all[i+1:]), i+1, seq)
				in("swapped", joined(all[:i], [][]byte{all[i+1], line}, all[i+2:]), i+1, seq)
			}
			rewrite(t, dir, name, all...)
		}
	}
	verified(t, dir, 20)
}

func TestMissingLinesAreMissed(t *testing.T) {
	dir := written(t, 20)
	names, content := files(t, dir)
	last := len(names) - 1
	for f, name := range names {
		all := content[f]
		rewrite(t, dir, name, all[:len(all)-1]...)
		_, err := Verify(dir)
		if f < last {
			wantBroken(t, err, names[f+1], 0, firstSeq(names[f+1])-1)
		} else {
			wantBroken(t, err, name, len(all), 20)
			_, err = Open(dir, Options{})
			wantBroken(t, err, name, 0, 21)
		}
		os.Remove(filepath.Join(dir, name))
		_, err = Verify(dir)
		if f < last && f > 0 {
			wantBroken(t, err, names[f+1], 0, firstSeq(name))
		} else if f == 0 {
			wantBroken(t, err, names[1], 1, firstSeq(names[1]))
		} else if err == nil {
			t.Error("the last file is gone and nobody misses it")
		}
		rewrite(t, dir, name, all...)
	}
	os.Remove(filepath.Join(dir, headName))
	_, err := Verify(dir)
	wantBroken(t, err, headName, 0, 20)
}

func TestTornLineInTheMiddleIsNoPowerCut(t *testing.T) {
	dir := written(t, 20)
	names, content := files(t, dir)
	all := content[1]
	torn := all[len(all)-1][:20]
	rewrite(t, dir, names[1], joined(all[:len(all)-1], [][]byte{torn})...)
	_, err := Verify(dir)
	wantBroken(t, err, names[1], len(all), firstSeq(names[2])-1)
}

func TestBrokenTailIsRefusedAndLeftAlone(t *testing.T) {
	dir := written(t, 20)
	names, content := files(t, dir)
	name, all := names[len(names)-1], content[len(names)-1]
	for what, changed := range map[string][]byte{
		"changed behind the head's back": bytes.Replace(all[len(all)-1], []byte("robot1"), []byte("robot2"), 1),
		"another record":                 []byte("{\"seq\":20}\n"),
	} {
		rewrite(t, dir, name, joined(all[:len(all)-1], [][]byte{changed})...)
		before, _ := os.ReadFile(filepath.Join(dir, name))
		_, err := Open(dir, Options{})
		if e, ok := errors.AsType[*BrokenError](err); !ok || e.File != name {
			t.Errorf("%s: %v", what, err)
		}
		if after, _ := os.ReadFile(filepath.Join(dir, name)); !bytes.Equal(before, after) {
			t.Errorf("%s: the file was changed", what)
		}
	}
	rewrite(t, dir, name, joined(all, [][]byte{[]byte(`{"seq":21,"prev":"` + hash{}.String() + "\"}\n")})...)
	_, err := Open(dir, Options{})
	wantBroken(t, err, name, 0, 21)
	_, err = Verify(dir)
	wantBroken(t, err, name, len(all)+1, 21)
}
