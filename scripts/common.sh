# Sourced by every script: the project's folder, its own Node first in PATH, and how to say what went wrong.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
# What the environment had, for installing: an npm that runs on files which it is about to replace fails half-way.
OUTER_PATH="$(printf %s "$PATH" | tr : '\n' | grep -v 'node_modules/\.bin$' | paste -sd :):/usr/local/sbin:/usr/sbin:/sbin"
export PATH="$ROOT/node_modules/.bin:$OUTER_PATH"

say() {
	printf '%s\n' "$*"
}

# What failed and why, what stayed unchanged, what to do next.
fail() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# Seconds since the epoch with a fraction; seconds from such a moment until now.
now() {
	date +%s.%N
}

since() {
	awk -v from="$1" -v to="$(now)" 'BEGIN { printf "%.1f", to - from }'
}
