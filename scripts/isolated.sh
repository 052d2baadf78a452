#!/bin/bash
# Runs a command in a network and a mount namespace of its own, with a bpffs that nobody else sees: all of it vanishes
# with the command, also when that is killed.
#   scripts/isolated.sh COMMAND [ARGUMENT...]
. "$(dirname "$0")/common.sh"

[ "$(id -u)" = 0 ] || fail 'namespaces need root; nothing was run. Run it with sudo'
# A sanitizer is loaded into the command only: the tools of this script are not ours to check.
readonly INSIDE='
	mount -t bpf bpf /sys/fs/bpf && ip link set lo up || exit 1
	[ -z "${ISTHMUS_PRELOAD:-}" ] || export LD_PRELOAD="$ISTHMUS_PRELOAD"
	exec "$@"'
exec unshare --net --mount sh -c "$INSIDE" sh "$@"
