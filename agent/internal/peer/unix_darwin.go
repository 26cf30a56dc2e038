package peer

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// ofUnix asks for LOCAL_PEERCRED and LOCAL_PEERPID. Not verified on macOS.
func ofUnix(c *net.UnixConn, nameOf func(uint32) string) (Caller, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Caller{}, fmt.Errorf("ask for the peer's credentials: %w", err)
	}
	var cred *unix.Xucred
	var pid int
	var asked error
	err = raw.Control(func(fd uintptr) {
		if cred, asked = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED); asked == nil {
			pid, asked = unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID)
		}
	})
	if err == nil {
		err = asked
	}
	if err != nil {
		return Caller{}, fmt.Errorf("ask for the peer's credentials: %w", err)
	}
	return Caller{Known: true, UID: cred.Uid, User: nameOf(cred.Uid), PID: int32(pid), Source: "peercred"}, nil
}
