#!/bin/bash
# C and C++: the format of .clang-format, and no warning of a strict compiler. BPF C is compiled by the build as well.
#   scripts/lint-c.sh [--write]     --write: changes the format instead of complaining
. "$(dirname "$0")/common.sh"

# The format differs between versions, so there is one.
readonly FORMATTER=clang-format-19
readonly WARNINGS=(-Wall -Wextra -Werror -Wshadow -Wvla -Wundef -Wimplicit-fallthrough)
readonly PROTOTYPES=(-Wstrict-prototypes -Wmissing-prototypes)

command -v "$FORMATTER" >/dev/null || fail "$FORMATTER is not in PATH; nothing was checked. Run: npm run setup -- --test"
mapfile -t files < <(find bpf native test/support -name '*.c' -o -name '*.h' -o -name '*.cc' | sort)
if [ "${1:-}" = --write ]; then
	"$FORMATTER" -i "${files[@]}"
	exit
fi
"$FORMATTER" --dry-run -Werror "${files[@]}" || fail 'the format of some files is not that of .clang-format. Run: npm run fmt'

clang=$(compgen -c clang- | grep -xE 'clang-(1[4-9]|[2-9][0-9])' | sort -u -t- -k2,2nr | head -n 1 || true)
clang=${clang:-clang}
node_headers=$(node -p 'require("node:path").dirname(require.resolve("node-linux-" + process.arch + "/package.json", { paths: [require.resolve("node/package.json")] }))')/include/node
read -ra netlink <<<"$(pkg-config --cflags libnl-3.0 libnl-route-3.0)"

"$clang" -target bpf -mcpu=v3 -g -O2 -c -o /dev/null "${WARNINGS[@]}" -Wstrict-prototypes -Wno-unused-parameter \
	-Ibpf -isystem "/usr/include/$(gcc -print-multiarch)" bpf/datapath.bpf.c
for file in native/cni/*.c; do
	"$clang" -std=gnu11 -fsyntax-only "${WARNINGS[@]}" "${PROTOTYPES[@]}" "$file"
done
for file in native/probe/*.c; do
	"$clang" -std=gnu11 -fsyntax-only -D_GNU_SOURCE "${WARNINGS[@]}" "${PROTOTYPES[@]}" "$file"
done
for file in native/*.cc; do
	"$clang" -std=c++20 -fsyntax-only "${WARNINGS[@]}" -Wnon-virtual-dtor -Woverloaded-virtual -Wextra-semi \
		-Wno-missing-designated-field-initializers -DNAPI_VERSION=9 -DNAPI_CPP_EXCEPTIONS \
		-isystem "$node_headers" -isystem node_modules/node-addon-api "${netlink[@]}" "$file"
done
say "$("$clang" --version | head -n 1): no warning in ${#files[@]} files"
