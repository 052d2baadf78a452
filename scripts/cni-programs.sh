#!/bin/bash
# Builds cnitool, the CNI project's own client, for the tests of the CNI plugin; quick when it is there.
#   scripts/cni-programs.sh     its only line of output is the directory
. "$(dirname "$0")/common.sh"

readonly VERSION=v1.3.0
readonly CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/isthmus/cni-$VERSION/bin

if [ ! -x "$CACHE/cnitool" ]; then
	mkdir -p "$CACHE"
	GOBIN=$CACHE go install -trimpath "github.com/containernetworking/cni/cnitool@$VERSION" >&2 ||
		fail 'cnitool could not be built (see above); the tests that need it are skipped.' \
			"Is the Go module proxy reachable ($(go env GOPROXY))? Run again when it is"
fi
say "$CACHE"
