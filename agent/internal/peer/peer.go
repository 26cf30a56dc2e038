// Package peer learns from the kernel who is at the other end of a connection.
//
//	unix socket  SO_PEERCRED: uid and pid as of connect(2)            → Caller, "peercred"
//	TCP          sock_diag: who owns the socket with these addresses  → Caller, "sock_diag"
//
// It never guesses: where the kernel gives no certain answer the Caller is not Known, and the
// error says why. Nothing that the other end sends is looked at.
package peer

import (
	"errors"
	"fmt"
	"net"
	"os/user"
	"strconv"
	"sync"
	"time"

	"keytender/agent/internal/userns"
)

// ErrUnknown says that the kernel does not tell who is at the other end: most often because
// the other end has closed the connection. On systems where it never tells, the error wraps
// errors.ErrUnsupported instead. In a user namespace that has no number for some users, as in
// containers, the number as which all of those show is nobody's: it is ErrUnknown too, even
// if the agent itself has it.
var ErrUnknown = errors.New("the kernel does not tell who is at the other end")

// Caller is the process at the other end, as far as the kernel told. The zero value is a
// caller of whom nothing is known: look at Known before UID, for uid 0 is root.
type Caller struct {
	Known  bool
	UID    uint32
	User   string // name of UID, or its number; for people, never for rules
	PID    int32  // 0 where unknown, as over TCP and from outside this pid namespace
	Source string // "peercred", "sock_diag"; "" where not Known
}

// OfUnix returns who connected to the socket that c was accepted from. It looks User up anew
// each time, unlike Diag.Of.
func OfUnix(c *net.UnixConn) (Caller, error) {
	caller, err := ofUnix(c, User)
	if err != nil {
		return Caller{}, err
	}
	return newUnmapped().reject(caller)
}

// unmapped is the uid as which users without a number of their own show, if there are such.
type unmapped struct {
	uid  uint32
	some bool
}

func newUnmapped() unmapped {
	uid, some := userns.Nobody()
	return unmapped{uid, some}
}

// reject returns ErrUnknown for a caller who may be any of those users.
func (u unmapped) reject(c Caller) (Caller, error) {
	if u.some && c.UID == u.uid {
		return Caller{}, fmt.Errorf("uid %d stands for everybody whom this user namespace does not map: %w", c.UID, ErrUnknown)
	}
	return c, nil
}

// User returns the name of uid in the local user database, or the number where it has none or
// another source, such as a directory service, would have to be asked.
func User(uid uint32) string {
	number := strconv.FormatUint(uint64(uid), 10)
	u, err := user.LookupId(number)
	if err != nil || u.Username == "" {
		return number
	}
	return u.Username
}

const (
	maxNames = 512
	nameLife = 5 * time.Minute
)

// names remembers what User said, for nameLife. The zero value is ready.
type names struct {
	mu    sync.Mutex
	known map[uint32]name
}

type name struct {
	text string
	at   time.Time
}

func (n *names) of(uid uint32) string {
	n.mu.Lock()
	known, ok := n.known[uid]
	n.mu.Unlock()
	if ok && time.Since(known.at) < nameLife {
		return known.text
	}
	text := User(uid)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil || len(n.known) >= maxNames {
		n.known = make(map[uint32]name)
	}
	n.known[uid] = name{text, time.Now()}
	return text
}
