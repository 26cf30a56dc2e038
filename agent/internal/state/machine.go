package state

import (
	"bytes"
	"encoding/hex"
)

// parseID reads 16 bytes in hexadecimal, with or without the hyphens of a UUID.
// It returns nil for anything else, and for zeros alone, which name no machine.
func parseID(raw []byte) []byte {
	text := bytes.ReplaceAll(bytes.TrimSpace(raw), []byte("-"), nil)
	id := make([]byte, hex.DecodedLen(len(text)))
	if _, err := hex.Decode(id, text); err != nil || len(id) != 16 || bytes.Count(id, []byte{0}) == 16 {
		return nil
	}
	return id
}
