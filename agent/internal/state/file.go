package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

const (
	version = 1
	maxFile = 16 << 20 // far above anything the agent saves: a larger file is not ours
)

// envelope is the outer form of every state file.
type envelope struct {
	Version int             `json:"version"`
	Data    json.RawMessage `json:"data"`
}

func encode(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	raw, err := json.MarshalIndent(envelope{version, data}, "", "  ")
	return append(raw, '\n'), err
}

// decode checks raw as the content of file and, unless v is nil, puts its data into v.
// The version is read first and leniently: a newer file may have any other form.
func decode(file string, raw []byte, v any) error {
	var peek struct{ Version *int }
	if err := json.Unmarshal(raw, &peek); err != nil {
		return &BrokenError{file, plain(err)}
	}
	switch {
	case peek.Version == nil || *peek.Version < 1:
		return &BrokenError{file, errors.New("it has no version")}
	case *peek.Version > version:
		return &VersionError{File: file, Found: *peek.Version, Known: version}
	}
	var e envelope
	if err := strictly(raw, &e); err != nil {
		return &BrokenError{file, plain(err)}
	}
	if e.Data == nil {
		return &BrokenError{file, errors.New("it has no data")}
	}
	if v == nil {
		return nil
	}
	if err := strictly(e.Data, v); err != nil {
		return &BrokenError{file, plain(err)}
	}
	return nil
}

func strictly(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// plain keeps an error's words and drops what it quotes of the file's values.
func plain(err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("field %q has the wrong type", t.Field)
	}
	return err
}

// readFile gives the content of a file that this user alone can have written,
// nil where there is none.
func readFile(file string) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|openSafely, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &BrokenError{file, err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err == nil {
		err = checkOwner(info)
	}
	if err != nil {
		return nil, &BrokenError{file, err}
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(raw) > maxFile {
		err = errors.New("it is too large")
	}
	if err != nil {
		return nil, &BrokenError{file, err}
	}
	if raw == nil {
		raw = []byte{}
	}
	return raw, nil
}

// checkName keeps names to lower-case letters, digits and inner hyphens, and away from the
// package's own file.
func checkName(name string) error {
	rest := strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-")
	if name == "" || rest != "" || strings.HasPrefix(name, "-") || name == originName {
		return fmt.Errorf("%q is no name for a state file", name)
	}
	return nil
}
