package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// hash is the SHA-256 of a line without its line feed.
type hash [sha256.Size]byte

func hashOf(line []byte) hash { return sha256.Sum256(line) }

func (h hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText and UnmarshalText write and read h in hexadecimal.
func (h hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

func (h *hash) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(h) {
		return errors.New("a hash has the wrong length")
	}
	_, err := hex.Decode(h[:], text)
	return err
}
