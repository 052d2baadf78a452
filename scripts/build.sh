#!/bin/bash
# Builds everything into build/: addons and C programs, JavaScript, the datapath's object. Incremental.
. "$(dirname "$0")/common.sh"

[ -x node_modules/.bin/node ] || fail 'node_modules is missing; nothing was built. Run: npm run setup'
started=$(now)
bash scripts/build-native.sh
tsc -p .
node build/src/bpf/compile-main.js >/dev/null
chmod +x build/src/cli/main.js
# So that `npx isthmus` finds it without asking the registry.
ln -sfn ../../bin/isthmus node_modules/.bin/isthmus
say "build: done ($(since "$started") s)"
