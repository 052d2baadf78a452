#!/bin/bash
# `npm start`: installs what is missing, builds, and runs the lab in both modes. Exit status 0: every check is good.
. "$(dirname "$0")/common.sh"

[ "$(id -u)" = 0 ] || fail 'the lab makes network namespaces, which needs root. Nothing was changed. Run: sudo npm start'
bash scripts/setup.sh
bash scripts/build.sh
exec node build/src/cli/main.js lab run --mode both
