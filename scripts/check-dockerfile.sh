#!/bin/bash
# Builds the Dockerfile without a registry and looks into the image. The base image is made here, under the name that the
# Dockerfile asks for: Debian by mmdebstrap, and the Node of the npm package `node`. Needs root, buildah, mmdebstrap.
. "$(dirname "$0")/common.sh"

readonly BASE=docker.io/library/node:24-bookworm-slim
readonly IMAGE=localhost/isthmus:check

[ "$(id -u)" = 0 ] || fail 'building an image needs root here. Nothing was built. Run it with sudo'
for tool in buildah mmdebstrap; do
	command -v "$tool" >/dev/null || fail "$tool is not in PATH; nothing was built. Run: npm run setup -- --image"
done
[ -x node_modules/.bin/node ] || fail 'node_modules is missing; nothing was built. Run: npm run setup'

work=$(mktemp -d /var/tmp/isthmus-image.XXXXXX)
trap 'b rmi --all --force >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

# Where overlays cannot be mounted (inside a container) layers are copied.
mkdir "$work/lower" "$work/upper" "$work/scratch" "$work/merged"
driver=vfs
overlay="lowerdir=$work/lower,upperdir=$work/upper,workdir=$work/scratch"
! unshare --mount mount -t overlay overlay -o "$overlay" "$work/merged" 2>/dev/null || driver=overlay

b() {
	TMPDIR=$work buildah --root "$work/root" --runroot "$work/run" --storage-driver "$driver" "$@"
}

# Debian with Node where the official image has it, and npm as this machine has it.
make_base() {
	local container npm
	npm=$(PATH=$OUTER_PATH npm root -g 2>/dev/null)/npm
	[ -d "$npm" ] || npm=$(dirname "$(dirname "$(readlink -f "$(PATH=$OUTER_PATH command -v npm)")")")
	mmdebstrap --quiet --variant=minbase --include=ca-certificates bookworm "$work/base.tar"
	container=$(b from scratch)
	b add --quiet "$container" "$work/base.tar" / >/dev/null
	b copy --quiet "$container" "$(readlink -f node_modules/.bin/node)" /usr/local/bin/node >/dev/null
	b copy --quiet "$container" "$npm" /usr/local/lib/node_modules/npm >/dev/null
	b run --isolation chroot "$container" -- ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
	b config --cmd node "$container"
	b commit --quiet --rm "$container" "$BASE" >/dev/null
	rm "$work/base.tar"
}

# How this machine reaches its package sources: mounted while building, never part of the image.
mounts=()
mount_configuration() {
	local file
	mount_file /etc/ssl/certs /etc/ssl/certs
	mount_file "$HOME/.npmrc" /root/.npmrc
	mount_file "$(PATH=$OUTER_PATH npm config get globalconfig 2>/dev/null)" /usr/local/etc/npmrc
	for file in $(grep -lrs Acquire /etc/apt/apt.conf.d); do
		mount_file "$file" "$file"
	done
}

mount_file() {
	[ ! -e "$1" ] || mounts+=(--volume "$1:$2:ro")
}

run_in_image() {
	b run --isolation chroot "$container" -- "$@"
}

expect() {
	local what=$1
	shift
	"$@" >"$work/output" 2>&1 || { cat "$work/output" >&2; fail "in the image: not true that $what"; }
	say "image: $what"
}

no_compilers() {
	run_in_image sh -c '! command -v clang clang-19 cc gcc g++ c++ make python3'
}

addons_load() {
	run_in_image node -e 'for (const addon of ["bpf", "net"]) require(`/opt/isthmus/build/native/${addon}.node`)'
}

# Without an agent's socket there is nobody to ask, which the plugin says in CNI's own way.
plugin_runs() {
	local output
	output=$(run_in_image sh -c 'CNI_COMMAND=VERSION /opt/isthmus/build/native/isthmus-cni </dev/null || true')
	grep -q '"code"\|cniVersion' <<<"$output"
}

started=$(now)
make_base
say "image: base made ($(since "$started") s)"
mount_configuration
b build --quiet --isolation chroot --network host --pull-never --format docker "${mounts[@]}" --target runtime --tag "$IMAGE" . \
	>"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log" >&2; fail 'the Dockerfile does not build (see above)'; }
say "image: built ($(since "$started") s)"
container=$(b from --pull-never "$IMAGE")
expect 'there are no compilers' no_compilers
expect 'the addons load' addons_load
expect 'the command line runs' run_in_image isthmus agent --help
expect 'the CNI plugin runs' plugin_runs
expect 'the datapath object is there' run_in_image test -s /opt/isthmus/build/bpf/datapath.bpf.o
expect 'the agent is what it starts' grep -q 'main.js.*agent' <(b inspect --format '{{.OCIv1.Config.Entrypoint}} {{.OCIv1.Config.Cmd}}' "$container")
say "image: $(b images --format '{{.Size}}' "$IMAGE"), all good ($(since "$started") s)"
