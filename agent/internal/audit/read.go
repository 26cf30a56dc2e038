package audit

import (
	"encoding/json"
	"errors"
	"io/fs"
	"iter"
	"slices"
	"time"
)

// Filter says which records Read gives. The zero value gives all.
type Filter struct {
	Since   time.Time
	Profile string
}

// Read gives the records in dir, oldest first, each as the line that was written, without
// checking the chain. It may read a log that is being written. After an error it ends.
func Read(dir string, f Filter) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		names, err := fileNames(dir)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, name := range names {
			if !readFile(dir, name, f, yield) {
				return
			}
		}
	}
}

// readFile yields the records of one file and tells whether to go on with the next.
func readFile(dir, name string, f Filter, yield func(json.RawMessage, error) bool) bool {
	file, err := openToRead(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return true // pruned meanwhile
	}
	if err != nil {
		yield(nil, err)
		return false
	}
	defer file.Close()
	n := 0
	for raw, err := range lines(file) {
		n++
		var l line
		if errors.Is(err, errNotWhole) {
			break // half of what is being written, or a torn end: Open and Verify see to it
		}
		if err == nil && json.Unmarshal(raw, &l) != nil {
			err = &BrokenError{File: name, Line: n, Reason: "the line is not a record"}
		}
		if err != nil {
			yield(nil, err)
			return false
		}
		if l.At.Before(f.Since) || f.Profile != "" && l.Profile != f.Profile {
			continue
		}
		if !yield(slices.Clone(raw), nil) {
			return false
		}
	}
	return true
}
