package peer

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

func ofUnix(c *net.UnixConn, nameOf func(uint32) string) (Caller, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Caller{}, fmt.Errorf("ask for the peer's credentials: %w", err)
	}
	var cred *unix.Ucred
	var asked error
	err = raw.Control(func(fd uintptr) {
		cred, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err == nil {
		err = asked
	}
	if err != nil {
		return Caller{}, fmt.Errorf("ask for the peer's credentials: %w", err)
	}
	if cred.Uid == ^uint32(0) { // unix(7): no peer was ever connected
		return Caller{}, fmt.Errorf("ask for the peer's credentials: %w", ErrUnknown)
	}
	return Caller{Known: true, UID: cred.Uid, User: nameOf(cred.Uid), PID: cred.Pid, Source: "peercred"}, nil
}
