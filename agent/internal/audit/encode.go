package audit

import (
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"
)

const (
	maxText   = 8 << 10
	hexDigits = "0123456789abcdef"
)

// appendRecord appends r as a JSON line, line feed included. It allocates only to grow dst.
func appendRecord(dst []byte, r *Record, prev *hash) []byte {
	dst = append(dst, `{"seq":`...)
	dst = strconv.AppendUint(dst, r.Seq, 10)
	dst = append(dst, `,"at":"`...)
	dst = appendTime(dst, r.At)
	dst = append(dst, '"')
	dst = appendText(dst, `,"event":`, r.Event)
	if r.UID >= 0 {
		dst = append(dst, `,"uid":`...)
		dst = strconv.AppendInt(dst, r.UID, 10)
	}
	dst = appendText(dst, `,"user":`, r.User)
	if r.PID != 0 {
		dst = append(dst, `,"pid":`...)
		dst = strconv.AppendInt(dst, int64(r.PID), 10)
	}
	dst = appendText(dst, `,"door":`, r.Door)
	dst = appendText(dst, `,"source":`, r.Source)
	dst = appendText(dst, `,"profile":`, r.Profile)
	dst = appendText(dst, `,"scopes":`, r.Scopes)
	dst = appendText(dst, `,"ruling":`, r.Ruling)
	dst = appendText(dst, `,"fingerprint":`, r.Fingerprint)
	dst = appendText(dst, `,"code":`, r.Code)
	dst = appendText(dst, `,"detail":`, r.Detail)
	dst = append(dst, `,"prev":"`...)
	dst = hex.AppendEncode(dst, prev[:])
	return append(dst, '"', '}', '\n')
}

// appendTime appends t as in 2026-11-21T22:00:00.000000Z. The time package has a quick way for
// RFC 3339 with whole seconds, and takes three times as long for any layout of ours.
func appendTime(dst []byte, t time.Time) []byte {
	dst = t.UTC().AppendFormat(dst, time.RFC3339)
	point := len(dst) - len("Z")
	dst = strconv.AppendInt(dst[:point], 1_000_000+int64(t.Nanosecond()/1000), 10)
	dst[point] = '.'
	return append(dst, 'Z')
}

func appendText(dst []byte, key, s string) []byte {
	if s == "" {
		return dst
	}
	dst = append(dst, key...)
	if len(s) <= maxText {
		return appendString(dst, s)
	}
	end := maxText
	for end > maxText-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	dst = appendString(dst, s[:end])
	return append(dst[:len(dst)-1], `…"`...)
}

// appendString appends s as a JSON string (RFC 8259 §7). Beyond what JSON demands it escapes
// DEL, the C1 controls and the Unicode line ends, so that a line stays a line and a terminal
// obeys nothing that a caller wrote. What is not UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		if b := s[i]; b >= ' ' && b < 0x7f && b != '"' && b != '\\' {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r >= 0xa0 && r != '\u2028' && r != '\u2029' && (r != utf8.RuneError || size > 1) {
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, r)
		i += size
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, r rune) []byte {
	if r == '"' || r == '\\' {
		return append(dst, '\\', byte(r))
	}
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// line is what the log itself must know of one of its lines.
type line struct {
	Seq     uint64    `json:"seq"`
	At      time.Time `json:"at"`
	Event   string    `json:"event"`
	Profile string    `json:"profile"`
	Detail  string    `json:"detail"`
	Prev    hash      `json:"prev"`
}
