# box INSIDE NAME TREE ARGUMENT… runs the script INSIDE as the first process of a pid
# namespace and in a cgroup of its own, with the Debian of TREE unpacked at TREE/root.
# Whoever starts this has given it a mount namespace, so that nobody else sees its
# mounts and none is left.
set -eu
inside=$1 name=$2 tree=$3
shift 3
umask 022

# One hierarchy of cgroups, as Debian has, also where this machine has the old ones too.
[ -e /sys/fs/cgroup/cgroup.controllers ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup
above=$(sed -n 's/^0:://p' /proc/self/cgroup)
group=/sys/fs/cgroup${above%/}/$name

mkdir -p /run/systemd
mount -t tmpfs -o mode=755 "$name" /run/systemd # where systemd-nspawn would leave notes
mount -t tmpfs -o mode=755 "$name" "$tree/root"
tar --extract --file "$tree/root.tar" --directory "$tree/root" --numeric-owner --xattrs --xattrs-include='*'

mkdir "$group"
setpriv --pdeathsig KILL unshare --pid --mount-proc --fork --kill-child \
	bash -c "$inside" inside "$group" "$tree/root" "$name" "$@" || status=$?
# All processes are gone with their pid namespace, and have been waited for.
find "$group" -depth -type d -exec rmdir {} +
exit "${status:-0}"
