package audit

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// FuzzString holds the hand-written encoder against encoding/json.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "plain", `"\`, "\x00\n\r\t\x1b[31m", "\x7f\u0080\u009f", "\u2028\u2029", "ä€𝄞", "\xff\xc3(\xed\xa0\x80", "a\ufffdb\xf0\x9f", "</script>&"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ours := appendString(nil, s)
		theirs, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var got, want string
		if err := json.Unmarshal(ours, &got); err != nil {
			t.Fatalf("%q: %v", ours, err)
		}
		if err := json.Unmarshal(theirs, &want); err != nil || got != want {
			t.Errorf("%q: ours is read as %q, theirs as %q", s, got, want)
		}
		if !utf8.Valid(ours) || bytes.ContainsFunc(ours, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }) {
			t.Errorf("%q is written as %q", s, ours)
		}
	})
}

func TestTimesHaveSixDigitsAndAreUTC(t *testing.T) {
	const layout = "2006-01-02T15:04:05.000000Z"
	minute := time.Date(2026, 11, 21, 23, 59, 0, 0, time.FixedZone("", -3*3600))
	for _, d := range []time.Duration{0, 999, time.Microsecond, 59*time.Second + 10*time.Millisecond, time.Minute - 1} {
		at := minute.Add(d)
		if got, want := string(appendTime([]byte("at "), at)), "at "+at.UTC().Format(layout); got != want {
			t.Errorf("%s instead of %s", got, want)
		}
	}
}

// FuzzRecord holds whole lines against encoding/json and the log's own reader.
func FuzzRecord(f *testing.F) {
	f.Add(int64(1000), 811, "token", "robot1", "a b", `x","prev":"`)
	f.Add(int64(-1), 0, "", "\n", "\x00", "ä€𝄞\u2028")
	f.Fuzz(func(t *testing.T, uid int64, pid int, event, user, scopes, detail string) {
		at := time.Date(2026, 11, 21, 22, 0, 0, 1000, time.UTC)
		before := position{Seq: 6, Hash: hashOf([]byte(detail))}
		r := Record{Seq: 7, At: at, Event: event, UID: uid, User: user, PID: pid, Scopes: scopes, Detail: detail}
		raw := appendRecord(nil, &r, &before.Hash)
		if len(raw) > maxLine || bytes.Count(raw, []byte{'\n'}) != 1 || raw[len(raw)-1] != '\n' {
			t.Fatalf("not one line: %q", raw)
		}
		var got struct {
			UID                         *int64
			PID                         int
			Event, User, Scopes, Detail string
		}
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		if (got.UID != nil) != (uid >= 0) || got.UID != nil && *got.UID != uid || got.PID != pid {
			t.Errorf("uid %v, pid %d from %d, %d", got.UID, got.PID, uid, pid)
		}
		for in, out := range map[string]string{event: got.Event, user: got.User, scopes: got.Scopes, detail: got.Detail} {
			if len(in) <= maxText && out != strings.ToValidUTF8(valid(in), "\ufffd") {
				t.Errorf("%q comes back as %q", in, out)
			}
		}
		after := before
		if l, reason := after.next(bytes.TrimSuffix(raw, []byte{'\n'})); reason != "" || !l.At.Equal(at) || after.Seq != 7 {
			t.Errorf("the chain does not go on: %s", reason)
		}
	})
}

// valid is s as encoding/json would read it back: one U+FFFD for each byte that is not UTF-8.
func valid(s string) string { return string([]rune(s)) }

func TestLongTextIsCutBetweenCharacters(t *testing.T) {
	for pad := range 4 {
		s := strings.Repeat("x", pad) + strings.Repeat("𝄞", maxText/4+10)
		var got string
		raw := appendText(nil, "", s)
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		kept, cut := strings.CutSuffix(got, "…")
		if !cut || !strings.HasPrefix(s, kept) || len(kept) < maxText-4 || len(kept) > maxText {
			t.Errorf("pad %d: %d bytes kept, cut %v", pad, len(kept), cut)
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	r := usual()
	if n := testing.AllocsPerRun(200, func() { l.Append(r) }); n >= 1 {
		t.Errorf("%v allocations", n)
	}
}
