package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
)

// position is a place behind a line: where the chain stands.
type position struct {
	File string `json:"file"`
	End  int64  `json:"end"` // bytes of File up to and with the line
	Seq  uint64 `json:"seq"` // of the line; 0 before the first
	Hash hash   `json:"hash"`
}

const headSize = 256 // one disk sector holds it: a power cut leaves the old head or the new

// writeHead writes at over the old head. It is not synced: a head that is older than
// the log is still true, and one is written only for lines that are on disk.
func writeHead(f *os.File, at position) error {
	raw, err := json.Marshal(at)
	if err != nil {
		return err
	}
	padding := bytes.Repeat([]byte{' '}, headSize-1-len(raw))
	_, err = f.WriteAt(append(append(raw, padding...), '\n'), 0)
	return err
}

// readHead returns false where there is no head that can be read as one.
func readHead(dir string) (at position, ok bool, err error) {
	f, err := openToRead(dir, headName)
	if errors.Is(err, fs.ErrNotExist) {
		return at, false, nil
	}
	if err != nil {
		return at, false, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, headSize))
	if err != nil {
		return at, false, err
	}
	at, ok = parseHead(raw)
	return at, ok, nil
}

// parseHead returns false for what is no place in any log of ours: its File has Seq-first+1
// lines up to there, of which each has a byte at least, and End is 0 before the first.
func parseHead(raw []byte) (at position, ok bool) {
	if json.Unmarshal(raw, &at) != nil {
		return position{}, false
	}
	first := firstSeq(at.File)
	if first == 0 || at.End < 0 || at.Seq < first-1 {
		return position{}, false
	}
	lines := at.Seq - (first - 1)
	if lines > uint64(at.End) || (lines == 0) != (at.End == 0) {
		return position{}, false
	}
	return at, true
}
