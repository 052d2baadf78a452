#!/bin/bash
# Writes the generated files: types and pages of the documentation from the BTF of the datapath's object, the
# definitions of our kinds (deploy/crds) from the schemas that read them, and the page of measured results with its charts.
#   scripts/gen.sh [--check]     --check: fails when one of those that are here was not current
. "$(dirname "$0")/common.sh"

bash scripts/build-native.sh bpf
# Types may be wrong for as long as the generated ones are old; the generator itself does not depend on them.
tsc -p . >/dev/null || true
if [ "${1:-}" != --check ]; then
	node build/src/bpf/generate.js
	node build/src/source/generate.js
	node build/src/bench/page/generate.js
	exit
fi
before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
cp -r --parents src/datapath docs deploy "$before"
# It names each file that it wrote.
output=$(node build/src/bpf/generate.js && node build/src/source/generate.js && node build/src/bench/page/generate.js)
mapfile -t written < <(sed -n "s| written\$||p" <<<"$output" | sed "s|^$ROOT/||")
[ ${#written[@]} -gt 0 ] || fail 'the generator wrote nothing'
stale=()
for file in "${written[@]}"; do
	diff -u --label "$file as it was" --label "$file as generated" "$before/$file" "$file" >&2 || stale+=("$file")
done
[ ${#stale[@]} -eq 0 ] || fail "not what npm run gen makes (see above): ${stale[*]}. Written anew: commit them"
say "current: ${written[*]}"
