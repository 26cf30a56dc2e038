package peer

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Sizes and offsets of linux/netlink.h and linux/inet_diag.h, and tcp_states.h.
const (
	headerSize  = 16                  // struct nlmsghdr
	socketSize  = 48                  // struct inet_diag_sockid
	requestSize = headerSize + 8 + 48 // … struct inet_diag_req_v2
	answerSize  = headerSize + 4 + 68 // … struct inet_diag_msg
	established = 1
)

// question asks for the one TCP socket with these addresses, neither of them IPv4 in IPv6.
type question struct {
	source, destination netip.AddrPort
}

// appendTo appends the message: SOCK_DIAG_BY_FAMILY without NLM_F_DUMP, the exact look-up.
// An IPv4 question finds a client's IPv6 socket with mapped addresses too.
func (q question) appendTo(b []byte, seq uint32) []byte {
	family := byte(unix.AF_INET6)
	if q.source.Addr().Is4() {
		family = unix.AF_INET
	}
	b = binary.NativeEndian.AppendUint32(b, requestSize)
	b = binary.NativeEndian.AppendUint16(b, unix.SOCK_DIAG_BY_FAMILY)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = append(b, family, unix.IPPROTO_TCP, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, 1<<established)
	b = binary.BigEndian.AppendUint16(b, q.source.Port())
	b = binary.BigEndian.AppendUint16(b, q.destination.Port())
	b = appendAddr(b, q.source.Addr())
	b = appendAddr(b, q.destination.Addr())
	b = binary.NativeEndian.AppendUint32(b, 0)             // any interface
	return binary.NativeEndian.AppendUint64(b, ^uint64(0)) // INET_DIAG_NOCOOKIE
}

func appendAddr(b []byte, a netip.Addr) []byte {
	var field [16]byte
	copy(field[:], a.AsSlice())
	return append(b, field[:]...)
}

// answer reads the kernel's message b. ours is false for an answer to an earlier question.
func (q question) answer(b []byte, seq uint32) (uid uint32, ours bool, err error) {
	if len(b) < headerSize {
		return 0, true, fmt.Errorf("netlink: an answer of %d bytes", len(b))
	}
	if binary.NativeEndian.Uint32(b[8:]) != seq {
		return 0, false, nil
	}
	size, kind := binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint16(b[4:])
	switch {
	case kind == unix.NLMSG_ERROR && len(b) >= headerSize+4:
		code := unix.Errno(-int32(binary.NativeEndian.Uint32(b[headerSize:])))
		return 0, true, fmt.Errorf("%w: %w", ErrUnknown, code)
	case kind != unix.SOCK_DIAG_BY_FAMILY || len(b) < answerSize || int64(size) > int64(len(b)):
		return 0, true, fmt.Errorf("netlink: an answer of kind %d and %d bytes", kind, len(b))
	}
	m := b[headerSize:]
	if readSocket(m[0], m[4:4+socketSize]) != q {
		return 0, true, fmt.Errorf("%w: the answer is about another connection", ErrUnknown)
	}
	state, inode := m[1], binary.NativeEndian.Uint32(m[68:])
	if state != established || inode == 0 {
		return 0, true, fmt.Errorf("%w: its connection is closed", ErrUnknown)
	}
	return binary.NativeEndian.Uint32(m[64:]), true, nil
}

// readSocket reads a struct inet_diag_sockid.
func readSocket(family byte, b []byte) question {
	addr := func(b []byte) netip.Addr {
		if family == unix.AF_INET {
			b = b[:4]
		}
		a, _ := netip.AddrFromSlice(b)
		return a.Unmap()
	}
	return question{
		source:      netip.AddrPortFrom(addr(b[4:20]), binary.BigEndian.Uint16(b)),
		destination: netip.AddrPortFrom(addr(b[20:36]), binary.BigEndian.Uint16(b[2:])),
	}
}
