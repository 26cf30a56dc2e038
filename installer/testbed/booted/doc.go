// Package booted gives a test a machine of its own: the small Debian of testbed.Debian,
// booted with a real systemd as its first process, with a loopback network and
// nothing of this machine but the files that it is given. In the manner of httptest,
// the machine ends with its test.
//
//	test ─ standard input ─► box.sh ─► inside.sh ─► systemd-nspawn ─► systemd
//	                         mounts    processes    container
//	test ─ Run ─► nsenter ──────────────────────────────────────────► command
//
// Each arrow but the last is also a dependence: what is on its right ends when what is
// on its left does, be it killed, for the box is a mount namespace and a pid namespace
// of its own, and the kernel takes those down whole. Nothing of a machine is on disk:
// it is unpacked into memory, where it outlives its reboots. That is a temporary file
// system to systemd, so systemd-creds encrypts only --with-key=host.
//
// A machine needs Linux and root, or a sudo that does not ask.
package booted
