// Package userns tells whom this process's user namespace cannot tell apart,
// see user_namespaces(7).
package userns

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

// Nobody returns the uid as which the kernel shows every user for whom this
// process's user namespace has no number of its own: whoever has it may be
// anyone. ok is false where every user has a number, as outside of containers;
// then that uid is a user like any other. What cannot be read counts as a
// namespace that leaves users out.
func Nobody() (uid uint32, ok bool) {
	mapped, err := os.ReadFile("/proc/self/uid_map")
	if err == nil && everybody(string(mapped)) {
		return 0, false
	}
	const byDefault = 65534
	text, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	if err != nil {
		return byDefault, true
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil {
		return byDefault, true
	}
	return uint32(n), true
}

// everybody tells whether a uid_map gives every user the number that it has
// outside: one line, of all numbers but the one that stands for none.
func everybody(mapped string) bool {
	return slices.Equal(strings.Fields(mapped), []string{"0", "0", "4294967295"})
}
