#!/bin/bash
# Builds what is native: the addons and the small C programs. Incremental; quick when nothing changed.
#   scripts/build-native.sh [--sanitize] [TARGET...]     targets: bpf net isthmus-cni isthmus-probe (all when absent)
# Output: build/native, or build/native-asan with the address and undefined-behaviour sanitizers.
set -euo pipefail
cd "$(dirname "$0")/.."

configuration=Release
output=build/native
if [ "${1:-}" = --sanitize ]; then
	configuration=Debug
	output=build/native-asan
	shift
fi
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
	targets=(bpf net isthmus-cni isthmus-probe)
fi

# The headers of the Node that runs the agent: the npm package `node` holds one package per architecture.
node_headers() {
	node -e '
		const { createRequire } = require("node:module");
		const inside = createRequire(require.resolve("node/package.json"));
		const architecture = inside.resolve(`node-linux-${process.arch}/package.json`);
		console.log(require("node:path").dirname(architecture));
	'
}

# A concurrent build would write the same files.
mkdir -p build "$output"
exec 9>build/.native.lock
flock 9

# Configure again only when the description changed; `build` is shared with tsc, so nothing is ever wiped.
if [ ! -f build/Makefile ] || [ binding.gyp -nt build/Makefile ] || [ package-lock.json -nt build/Makefile ]; then
	node node_modules/node-gyp/bin/node-gyp.js configure --silent --nodedir="$(node_headers)"
	touch build/Makefile
fi

make --no-print-directory -C build -j2 BUILDTYPE="$configuration" "${targets[@]}" >build/native.log || {
	cat build/native.log >&2
	exit 1
}

# By rename: a running process keeps the file that it has mapped.
for target in "${targets[@]}"; do
	file="$target"
	[ -f "build/$configuration/$target.node" ] && file="$target.node"
	if ! cmp -s "build/$configuration/$file" "$output/$file"; then
		cp "build/$configuration/$file" "$output/.$file.new"
		mv "$output/.$file.new" "$output/$file"
	fi
done
