#!/bin/bash
# The first process of a machine of the harness: gives it mounts of its own, and ends with whoever holds its standard input.
#   machine-init.sh NAME DIRECTORY SHARED...     inside fresh mount, UTS, IPC, PID and cgroup namespaces
# DIRECTORY holds what the machine writes; the SHARED folders are there also where the machine has a folder of its own.
# When it ends, the kernel kills every process of the machine, and nothing of its mounts was ever anywhere else.
set -euo pipefail
name=$1
directory=$2
shift 2

hostname "$name"
mapfile -t controllers < <(awk '$3 == "cgroup" { print $2, $4 }' /proc/mounts)

# What others write into these folders stays theirs; what is written here ends in the machine's own.
overlay() {
	local upper=$directory/overlay$1
	mkdir -p "$upper/data" "$upper/work"
	mount -t overlay overlay -o "lowerdir=$1,upperdir=$upper/data,workdir=$upper/work" "$1"
}

# Snapshots of containers cannot be on an overlay.
own() {
	mkdir -p "$directory/own$1" "$1"
	mount --bind "$directory/own$1" "$1"
}

# A kubelet sets these for the whole kernel unless they are as it likes them: here it sees a file that says so.
tunable() {
	local file=$directory/own/tunables/${1//\//.}
	mkdir -p "${file%/*}"
	printf '%s\n' "$2" >"$file"
	mount --bind "$file" "/proc/sys/$1"
}

cgroups() {
	local controller path options
	mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
	for controller in "${controllers[@]}"; do
		path=/sys/fs/cgroup/$(basename "${controller%% *}")
		# The option names the hierarchy: the last of `rw,relatime,cpu` or of `rw,relatime,name=systemd`.
		options=$(tr ',' '\n' <<<"${controller#* }" | grep -vx 'rw\|relatime\|nosuid\|nodev\|noexec\|xattr' | paste -sd,)
		mkdir "$path"
		[[ $options != name=* ]] || options=none,$options
		mount -t cgroup -o "$options" cgroup "$path"
	done
	mkdir /sys/fs/cgroup/unified
	mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
}

mount -t proc proc /proc
umount --recursive --lazy /sys
mount -t sysfs sysfs /sys
mount -t bpf bpf /sys/fs/bpf
cgroups
mount -t tmpfs -o mode=755 tmpfs /run
for folder in /etc /opt /var; do
	overlay "$folder"
done
for folder in /var/lib/containerd /var/lib/kubelet /var/lib/etcd /var/log; do
	own "$folder"
done
mkdir -p /run/netns /run/lock /run/shared
for folder; do
	mkdir -p "/run/shared$folder"
	mount --bind "$folder" "/run/shared$folder"
done
own /tmp
for folder; do
	mkdir -p "$folder"
	mount --bind "/run/shared$folder" "$folder"
done
printf '%s\n' "$name" >/etc/hostname
: >/etc/resolv.conf
tunable vm/overcommit_memory 1
tunable vm/panic_on_oom 0
tunable kernel/panic 10
tunable kernel/panic_on_oops 1
tunable kernel/keys/root_maxkeys 1000000
tunable kernel/keys/root_maxbytes 25000000
mount --make-rshared /
echo ready
while read -r _; do :; done
