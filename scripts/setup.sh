#!/bin/bash
# Installs what is missing: Debian packages (needs root) and the npm packages of the lock. Quick when all is there.
#   scripts/setup.sh [--test] [--image] [--cluster]     also what only the tests and the linter use; what builds an image;
#                                                       what runs Kubernetes nodes
. "$(dirname "$0")/common.sh"

# Adds a package to the list when the command behind it does not succeed.
missing=()
need() {
	local package=$1
	shift
	"$@" >/dev/null 2>&1 || missing+=("$package")
}

# Any compiler that can make BPF objects with type ids; src/bpf/clang.ts looks for the same.
has_clang() {
	local version
	for version in 19 18 17 16 15 14; do
		command -v "clang-$version" && return
	done
	command -v clang
}

# Static programs need the archive too.
has_static_libc() {
	[ -f "$(gcc -print-file-name=libc.a)" ]
}

need clang-19 has_clang
need g++ command -v g++
need libc6-dev has_static_libc
need make command -v make
need python3 command -v python3
need pkg-config command -v pkg-config
need libbpf-dev pkg-config --exists libbpf
need libnl-3-dev pkg-config --exists libnl-3.0
need libnl-route-3-dev pkg-config --exists libnl-route-3.0
need iproute2 command -v ip
need util-linux command -v nsenter
need mount command -v mount
need iputils-ping command -v ping
need traceroute command -v traceroute
need mtr-tiny command -v mtr
need nftables command -v nft
need tcpdump command -v tcpdump
need bpftool command -v bpftool
if [[ " $* " == *" --test "* ]]; then
	need clang-format-19 command -v clang-format-19
fi
if [[ " $* " == *" --image "* ]]; then
	need buildah command -v buildah
	need mmdebstrap command -v mmdebstrap
fi
if [[ " $* " == *" --cluster "* ]]; then
	need containerd command -v containerd
	need runc command -v runc
	need containernetworking-plugins test -x /usr/lib/cni/loopback
	need mmdebstrap command -v mmdebstrap
	need openssl command -v openssl
	need libfaketime sh -c 'ls /usr/lib/*/faketime/libfaketimeMT.so.1'
fi

# Debian 12 and 13 have clang 19; elsewhere the newest that there is.
newest_clang() {
	local version
	for version in 19 18 17 16 15 14; do
		if [ -n "$(apt-cache madison "clang-$version" 2>/dev/null)" ]; then
			say "clang-$version"
			return
		fi
	done
	say clang
}

install_packages() {
	local log
	command -v apt-get >/dev/null || fail "these are not installed: ${missing[*]} (names of Debian packages). There is no" \
		"apt-get here to install them with. Nothing was changed. Install them in this system's own way"
	[ "$(id -u)" = 0 ] || fail "these Debian packages are not installed: ${missing[*]}. Only root can install them." \
		"Nothing was changed. Run: sudo apt-get install -y --no-install-recommends ${missing[*]}"
	say "setup: installing Debian packages: ${missing[*]}"
	log=$(mktemp)
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q </dev/null >"$log" 2>&1 || apt_failed "$log"
	missing=("${missing[@]/#clang-19/$(newest_clang)}")
	apt-get install -y -q --no-install-recommends "${missing[@]}" </dev/null >"$log" 2>&1 || apt_failed "$log"
	rm -f "$log"
}

apt_failed() {
	tail -n 15 "$1" >&2
	rm -f "$1"
	fail "apt-get could not install ${missing[*]} (its last lines are above). Is the network there? Run again when it is"
}

# npm's own record in node_modules is as old as the installation.
install_modules() {
	local record=node_modules/.package-lock.json started log
	if [ -x node_modules/.bin/node ] && [ -f "$record" ] && [ ! package-lock.json -nt "$record" ]; then
		return
	fi
	command -v npm >/dev/null || fail "npm is not in PATH; nothing was changed. Install Node 18 or newer with npm"
	say 'setup: installing npm packages'
	started=$(now)
	log=$(mktemp)
	# Errors only: npm would warn that packages want a newer Node than the machine's, and they get it from the package `node`.
	PATH=$OUTER_PATH npm ci --no-audit --no-fund --loglevel=error </dev/null >"$log" 2>&1 || {
		tail -n 15 "$log" >&2
		rm -f "$log"
		fail "npm ci failed (its last lines are above); node_modules is incomplete. Is the network there? Run again when it is"
	}
	rm -f "$log"
	[ -x node_modules/.bin/node ] || fail "npm ci did not install the package node: its install script was not run." \
		"Allow scripts (npm config get ignore-scripts), remove node_modules and run again"
	say "setup: npm packages are installed ($(since "$started") s)"
}

[ ${#missing[@]} -eq 0 ] || install_packages
install_modules
