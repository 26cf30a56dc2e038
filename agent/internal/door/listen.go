package door

import (
	"fmt"
	"net"
	"net/netip"
)

// ListenTCP listens on a loopback address, given as numbers: "127.0.0.1:0",
// "[::1]:15398". Anything that another machine could reach is refused.
func ListenTCP(addr string) (net.Listener, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf(`listen on %q: not an address with a port: write it like "127.0.0.1:15398"`, addr)
	}
	if !isLoopback(at.Addr()) {
		return nil, fmt.Errorf("listen on %s: not a loopback address: the TCP door is for this machine only, use 127.0.0.1 or [::1]", addr)
	}
	l, err := net.Listen("tcp", at.String())
	if isInUse(err) {
		return nil, fmt.Errorf("listen on %s: another program listens there: choose another port with listen.tcp in config.yaml", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("open the TCP door: %w", err)
	}
	return l, nil
}

// isLoopback leaves out the forms that two programs could read differently.
func isLoopback(ip netip.Addr) bool {
	return ip.IsLoopback() && !ip.Is4In6() && ip.Zone() == ""
}
