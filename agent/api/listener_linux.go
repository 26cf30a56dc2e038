package api

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// trustedListener returns nil if the one who listens at the other end of c,
// connected to socket, is root, this user or, at the machine's sockets, the OS
// user that its agent runs as. The kernel's word (SO_PEERCRED, unix(7)) is
// about this connection, whatever became of the path since it was checked.
// Under socket activation the listener is root.
func trustedListener(c net.Conn, socket string) error {
	uid, err := listenerOf(c)
	if err != nil {
		return fmt.Errorf("ask who listens: %w", err)
	}
	return mayListen(uid, socket, os.Getuid())
}

func listenerOf(c net.Conn) (uid uint32, err error) {
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *syscall.Ucred
	var asked error
	err = raw.Control(func(fd uintptr) {
		cred, asked = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err == nil {
		err = asked
	}
	if err != nil {
		return 0, err
	}
	return cred.Uid, nil
}

func mayListen(uid uint32, socket string, self int) error {
	if uid == 0 || int(uid) == self || slices.Contains(agentsOf(socket), uid) {
		return nil
	}
	return &Error{
		Code:        AccessDenied,
		Description: fmt.Sprintf("%s is not trusted: uid %d listens there, who is neither you nor root", socket, uid),
		Hint:        "nothing was sent; find out who that is, or name the agent's own socket",
	}
}

// agentsOf are the OS users that the machine's agent may run as: root gives
// them the directories of its sockets.
func agentsOf(socket string) (uids []uint32) {
	if !ofMachine(socket) {
		return nil
	}
	for _, path := range []string{socket, MachineSocket} {
		if info, err := os.Stat(filepath.Dir(path)); err == nil {
			uids = append(uids, statOf(info).Uid)
		}
	}
	return uids
}
