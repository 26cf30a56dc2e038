package main

import "golang.org/x/sys/unix"

// keepMemory closes this process's memory, where secrets and tokens pass, to
// other processes of the same user: no debugger, no /proc/PID/mem, no core
// file (PR_SET_DUMPABLE(2const)). A program that takes this one's place is
// not affected. Where the kernel refuses, everything works as it did.
func keepMemory() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

// keepMemoryFromCores is keepMemory for the agent, which keeps secrets for as
// long as it runs: it gives up core files by its limits too, should a kernel's
// settings (fs.suid_dumpable) allow them all the same.
func keepMemoryFromCores() {
	keepMemory()
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}
