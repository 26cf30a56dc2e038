package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
)

const (
	headName = "audit.head"
	maxLine  = 1 << 20 // above the longest that appendRecord can make of Records
)

var errNotWhole = errors.New("the line is not whole")

func fileName(first uint64) string { return fmt.Sprintf("audit-%020d.jsonl", first) }

// firstSeq reads the number out of a file's name; 0 is no file of ours.
func firstSeq(name string) (first uint64) {
	if _, err := fmt.Sscanf(name, "audit-%d.jsonl", &first); err != nil || fileName(first) != name {
		return 0
	}
	return first
}

// fileNames lists the log's files, oldest first.
func fileNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if firstSeq(e.Name()) > 0 {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

func openToRead(dir, name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, name), os.O_RDONLY|noFollow, 0)
}

// lines yields the lines of r without their line feeds. What stands behind the last line feed
// comes last, with errNotWhole. The slice is good until the next one.
func lines(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		s := bufio.NewScanner(r)
		s.Buffer(nil, maxLine)
		s.Split(withLineFeeds)
		for s.Scan() {
			raw, whole := bytes.CutSuffix(s.Bytes(), []byte{'\n'})
			if !whole {
				yield(raw, errNotWhole)
				return
			}
			if !yield(raw, nil) {
				return
			}
		}
		if err := s.Err(); err != nil {
			yield(nil, err)
		}
	}
}

func withLineFeeds(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// firstLine reads the first line of a file; false where there is no whole one of ours.
func firstLine(f io.Reader) (l line, ok bool) {
	for raw, err := range lines(f) {
		return l, err == nil && json.Unmarshal(raw, &l) == nil
	}
	return l, false
}

// lineBefore reads the line that ends, line feed included, at end.
func lineBefore(f io.ReaderAt, end int64) ([]byte, error) {
	from := max(0, end-maxLine)
	raw := make([]byte, end-from)
	if _, err := f.ReadAt(raw, from); err != nil {
		return nil, err
	}
	raw, whole := bytes.CutSuffix(raw, []byte{'\n'})
	if !whole {
		return nil, errNotWhole
	}
	return raw[bytes.LastIndexByte(raw, '\n')+1:], nil
}
