package door

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"keytender/agent/internal/peer"
)

// enter has a caller open a connection; what is closed is told by isOpen.
func enter(t *testing.T, c *crowd, uid uint32) *line {
	conn, other := net.Pipe()
	t.Cleanup(func() { other.Close() })
	l := &line{conn: conn, ask: func(net.Conn) (peer.Caller, error) { return peer.Caller{Known: true, UID: uid}, nil }}
	c.admit(l)
	return l
}

func (c *crowd) has(l *line) bool { return c.open[l.conn] == l }

func TestCrowdTakesFromWhoHoldsMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(8)
		few := enter(t, c, 1)
		busy := enter(t, c, 2)
		busy.busy.Store(true)
		asked := enter(t, c, 2)
		asked.asked.Store(true)
		var silent []*line
		for range 5 {
			silent = append(silent, enter(t, c, 2))
		}
		time.Sleep(freshness)
		last := enter(t, c, 3)
		if !c.has(few) || !c.has(busy) || !c.has(asked) || c.has(silent[0]) || !c.has(silent[1]) || !c.has(last) {
			t.Error("the oldest silent line of the caller with most should have gone")
		}
		for range 100 {
			enter(t, c, 2)
		}
		if !c.has(few) || !c.has(busy) || !c.has(last) {
			t.Error("another's line, or one in use, has gone")
		}
		if len(c.open) != 8 {
			t.Errorf("%d lines", len(c.open))
		}
	})
}

func TestFreshConnectionIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(4)
		for range 4 {
			enter(t, c, 1)
		}
		began := time.Now()
		enter(t, c, 1)
		if waited := time.Since(began); waited != freshness {
			t.Errorf("made room after %s", waited)
		}
	})
}

func TestFullOfRequestsTakesNoMore(t *testing.T) {
	c := newCrowd(4)
	for range 4 {
		enter(t, c, 1).busy.Store(true)
	}
	if l := enter(t, c, 2); c.has(l) || l.conn.SetDeadline(time.Time{}) == nil {
		t.Error("one that comes should go")
	}
}
