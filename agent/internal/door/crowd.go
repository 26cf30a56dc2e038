package door

import (
	"cmp"
	"net"
	"slices"
	"sync"
	"time"
)

// freshness is for how long a new connection is left alone: a caller who means
// to ask has asked by then.
const freshness = 50 * time.Millisecond

// crowd is the open connections of one listener. When there are too many, some
// on which nobody is being answered make room: of the caller who holds the
// most, those that never asked anything before those that did, and the oldest
// first. So one caller's idle connections, however many, push out each other
// and not the requests of others.
type crowd struct {
	limit int

	mu   sync.Mutex
	open map[net.Conn]*line
	last uint64
}

func newCrowd(limit int) *crowd {
	return &crowd{limit: limit, open: make(map[net.Conn]*line)}
}

// admit takes l in. If there is no room it closes other lines; while those
// that could go are fresh it waits, and who comes later waits in the kernel;
// if all lines are being answered it closes l.
func (c *crowd) admit(l *line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.open) >= c.limit {
		pause, ok := c.makeRoom()
		if !ok {
			l.conn.Close()
			return
		}
		c.mu.Unlock()
		time.Sleep(pause)
		c.mu.Lock()
	}
	c.last++
	l.number, l.came = c.last, time.Now()
	c.open[l.conn] = l
}

// leave forgets a line that is closed.
func (c *crowd) leave(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
}

// makeRoom closes lines, or says how long to wait before some can be. False:
// all are being answered. A sixteenth of the places goes at a time, so that a
// flood of connections does not have all lines looked at for each one.
func (c *crowd) makeRoom() (pause time.Duration, ok bool) {
	quiet := c.quietest()
	if len(quiet) == 0 {
		return 0, false
	}
	slices.SortFunc(quiet, inOrder)
	if left := quiet[0].fresh(); left > 0 {
		return left, true
	}
	for _, l := range quiet[:min(len(quiet), max(1, c.limit/16))] {
		if l.fresh() == 0 {
			delete(c.open, l.conn)
			l.conn.Close()
		}
	}
	return 0, true
}

// quietest are the lines on which nobody is being answered, of the caller who
// has the most of them.
func (c *crowd) quietest() []*line {
	quiet := make(map[int64][]*line)
	for _, l := range c.open {
		if !l.busy.Load() {
			quiet[l.holder()] = append(quiet[l.holder()], l)
		}
	}
	var most []*line
	for _, lines := range quiet {
		if len(lines) > len(most) {
			most = lines
		}
	}
	return most
}

// inOrder sorts lines by when they go.
func inOrder(a, b *line) int {
	return cmp.Or(cmp.Compare(a.worth(), b.worth()), cmp.Compare(a.number, b.number))
}

// worth is the less, the sooner a line goes.
func (l *line) worth() int {
	switch {
	case l.fresh() > 0:
		return 2
	case l.asked.Load():
		return 1
	}
	return 0
}

// fresh is for how long a line is still left alone.
func (l *line) fresh() time.Duration {
	if l.asked.Load() {
		return 0
	}
	return max(0, freshness-time.Since(l.came))
}

// holder is the uid that holds a line, or -1 for all whom nobody knows.
func (l *line) holder() int64 {
	if caller := l.who(); caller.Known {
		return int64(caller.UID)
	}
	return -1
}

// dismiss closes the lines on which nothing was ever asked.
func (c *crowd) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.open {
		if !l.asked.Load() {
			l.conn.Close()
		}
	}
}
