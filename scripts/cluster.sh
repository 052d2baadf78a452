#!/bin/bash
# `npm run cluster`: three Kubernetes nodes on this machine until Ctrl-C, with the agent installed.
#   scripts/cluster.sh [OVERLAY]     flat, island (when absent) or dual-stack; `none`: without the agent
. "$(dirname "$0")/common.sh"

bash scripts/setup.sh --cluster
bash scripts/build.sh
bash scripts/cluster-programs.sh >/dev/null
exec node build/test/cluster/main.js "$@"
