# inside GROUP ROOT NAME ARGUMENT… boots the Debian in ROOT, and again whenever it asks
# for a reboot. It ends when the machine does, or when standard input does; and with it,
# the first process of a pid namespace, end all the others.
set -eu
group=$1 root=$2 name=$3
shift 3
exec 3<&0
echo $$ >"$group/cgroup.procs"

boot() {
	NOTIFY_SOCKET=@$name SYSTEMD_NSPAWN_LOCK=0 systemd-nspawn --quiet --directory="$root" --machine="$name" \
		--boot --notify-ready=yes --register=no --keep-unit --settings=no --console=pipe --link-journal=no \
		--private-network --resolv-conf=off --timezone=off "$@" </dev/null
}

until boot "$@"; do
	[ $? = 133 ] || exit 1 # 133 is its word for a reboot
done &
cat <&3 >/dev/null &
wait -n
