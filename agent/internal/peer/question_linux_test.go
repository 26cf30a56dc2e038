package peer

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// kernelSays makes the kernel's answer to q.
func kernelSays(q question, seq uint32, state byte, uid, inode uint32) []byte {
	b := q.appendTo(nil, seq)
	sockid := b[headerSize+8:]
	m := append(make([]byte, 0, answerSize), b[:headerSize]...)
	binary.NativeEndian.PutUint32(m, answerSize)
	m = append(m, b[headerSize], state, 0, 0)
	m = append(m, sockid...)
	m = append(m, make([]byte, 12)...)
	m = binary.NativeEndian.AppendUint32(m, uid)
	return binary.NativeEndian.AppendUint32(m, inode)
}

func TestAnswers(t *testing.T) {
	q := question{netip.MustParseAddrPort("127.0.0.1:4000"), netip.MustParseAddrPort("127.0.0.1:15398")}
	for name, c := range map[string]struct {
		raw  []byte
		ours bool
		ok   bool
	}{
		"established":         {kernelSays(q, 7, established, 1000, 5), true, true},
		"an earlier question": {kernelSays(q, 6, established, 1000, 5), false, false},
		"without an inode":    {kernelSays(q, 7, established, 0, 0), true, false},
		"listening":           {kernelSays(q, 7, 10, 1000, 5), true, false},
		"time wait":           {kernelSays(q, 7, 6, 0, 0), true, false},
		"another connection":  {kernelSays(question{q.destination, q.source}, 7, established, 1000, 5), true, false},
		"cut short":           {kernelSays(q, 7, established, 1000, 5)[:answerSize-1], true, false},
		"nothing":             {nil, true, false},
	} {
		uid, ours, err := q.answer(c.raw, 7)
		if ours != c.ours || (ours && err == nil) != c.ok || c.ok && uid != 1000 {
			t.Errorf("%s: %d, %v, %v", name, uid, ours, err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	q := question{netip.MustParseAddrPort("[::1]:4000"), netip.MustParseAddrPort("[::1]:15398")}
	f.Add(kernelSays(q, 7, established, 1000, 5))
	f.Add(kernelSays(q, 7, established, 0, 0)[:40])
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, ours, err := q.answer(raw, 7)
		if !ours || err != nil {
			return
		}
		if len(raw) < answerSize || raw[headerSize+1] != established || binary.NativeEndian.Uint32(raw[answerSize-4:answerSize]) == 0 {
			t.Errorf("%x was believed", raw)
		}
	})
}
