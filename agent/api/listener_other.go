//go:build !linux

package api

import "net"

// trustedListener has nobody to ask: the standard library does not read
// LOCAL_PEERCRED, which macOS has instead. There what trusted checks has to
// suffice: that nobody else can change the way to the socket.
func trustedListener(net.Conn, string) error { return nil }
