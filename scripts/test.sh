#!/bin/bash
# `npm test`: installs what is missing, builds, runs every stage, and sums them up in its last line.
#   scripts/test.sh [STAGE...]     stages: those of STAGES below; all when absent
# A stage that cannot run on this machine is counted as skipped, with the reason. Exit status 0: nothing failed.
. "$(dirname "$0")/common.sh"

readonly STAGES=(lint gen unit packet sanitize guard netns lab cluster image clean)
readonly RESULTS=build/test-results
passed=0
failed=0
skipped=0
remarks=()

title() {
	printf '\n== %s\n' "$*"
}

count() {
	passed=$((passed + $1))
	failed=$((failed + $2))
	skipped=$((skipped + $3))
}

# A stage that is one check.
check() {
	local name=$1 started
	shift
	started=$(now)
	if "$@"; then
		count 1 0 0
		say "$name: passed ($(since "$started") s)"
	else
		count 0 1 0
		remarks+=("failed   $name")
		say "$name: FAILED ($(since "$started") s)"
	fi
}

skip() {
	count 0 0 1
	remarks+=("skipped  $1: $2")
	say "$1: skipped: $2"
}

# A stage with a report that has counts of its own; no report, or a failure that it does not show, is one failure.
suite() {
	local name=$1 report=$2 status=0 p=0 f=0 s=0
	shift 2
	rm -f "$report"
	"$@" || status=$?
	if [ -s "$report" ]; then
		read -r p f s < <(node scripts/test-counts.mjs "$report")
	fi
	[ "$status" -eq 0 ] || [ "$f" -gt 0 ] || f=1
	[ "$p$f$s" != 000 ] || f=1
	count "$p" "$f" "$s"
	[ "$f" -eq 0 ] || remarks+=("failed   $name: $f of $((p + f))")
	[ "$s" -eq 0 ] || remarks+=("skipped  $name: $s, named in its output")
	say "$name: $p passed, $f failed, $s skipped"
}

vitest_suite() {
	local name=$1 project=$2 report=$RESULTS/${1// /-}.json
	shift 2
	suite "$name" "$report" "$@" node node_modules/vitest/vitest.mjs run --project "$project" \
		--reporter=default --reporter=json --outputFile.json="$report"
}

lab_suite() {
	local name="lab $1 $2, sockets $3, xdp $4" report="$RESULTS/lab-$1-$2.json"
	title "$name"
	suite "$name" "$report" lab_run "$1" "$2" "$3" "$4" "$report"
}

lab_run() {
	node build/src/cli/main.js lab run --mode "$1" --attach "$2" --sockets "$3" --xdp "$4" -o json >"$5"
}

# What keeps kernel stages from running here; nothing when they can.
obstacle() {
	[ "$(id -u)" = 0 ] || { say 'namespaces and BPF programs need root'; return; }
	[ -r /sys/kernel/btf/vmlinux ] || { say 'this kernel has no BTF (/sys/kernel/btf/vmlinux)'; return; }
	unshare --net --mount true 2>/dev/null || say 'this environment does not allow new namespaces'
}

stage_lint() {
	title 'lint'
	check 'lint TypeScript' biome check --error-on-warnings .
	check 'lint C and C++' bash scripts/lint-c.sh
}

stage_gen() {
	title 'generated sources'
	check 'generated sources' bash scripts/gen.sh --check
}

stage_unit() {
	title 'unit tests'
	vitest_suite unit unit
}

stage_packet() {
	title 'packet tests: the real programs, on this kernel'
	kernel_stage packet && vitest_suite packet packet bash scripts/isolated.sh
}

stage_sanitize() {
	title 'packet tests with the sanitizers in the addon'
	kernel_stage 'packet with sanitizers' || return
	if ! bash scripts/build-native.sh --sanitize bpf net; then
		check 'packet with sanitizers' false
		return
	fi
	local libraries
	libraries="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so)"
	vitest_suite 'packet with sanitizers' packet env ISTHMUS_NATIVE_DIR="$ROOT/build/native-asan" \
		ASAN_OPTIONS=detect_leaks=0 ISTHMUS_PRELOAD="$libraries" bash scripts/isolated.sh
}

stage_guard() {
	title 'guard: what the programs cost, beside the committed figures'
	kernel_stage guard && suite guard "$RESULTS/guard.json" bash scripts/isolated.sh \
		node build/src/bench/guard/main.js --report "$RESULTS/guard.json"
}

stage_netns() {
	title 'tests in network namespaces'
	if kernel_stage netns; then
		vitest_suite netns netns
		check docs/rfc.md node build/test/support/rfc-page-main.js "$RESULTS/netns.json"
	else
		skip docs/rfc.md "it is made by the netns tests; $(obstacle)"
	fi
}

stage_lab() {
	local mode
	kernel_stage lab || return
	for mode in island flat; do
		lab_suite "$mode" auto auto auto
	done
	for mode in island flat; do # what older kernels have, and what faster devices have
		lab_suite "$mode" clsact never native
	done
}

stage_cluster() {
	local reason
	title 'Kubernetes: the agent on three nodes'
	kernel_stage cluster || return
	if [ -n "${ISTHMUS_TEST_CLUSTER:-}" ] && ! { bash scripts/setup.sh --cluster && bash scripts/cluster-programs.sh; }; then
		check cluster false
		return
	fi
	if reason=$(node build/test/cluster/main.js --check); then
		vitest_suite cluster cluster env KUBEBUILDER_ASSETS="$(bash scripts/cluster-programs.sh --find)"
	else
		skip cluster "$reason; npm run test:cluster gets what is missing, and so does continuous integration"
	fi
}

stage_image() {
	title 'container image'
	if [ -z "${ISTHMUS_TEST_IMAGE:-}" ]; then
		skip image 'it takes minutes and the network each time; npm run test:image builds it, and so does continuous integration'
	elif [ "$(id -u)" != 0 ]; then
		skip image 'building one needs root here'
	else
		check image build_image
	fi
}

build_image() {
	bash scripts/setup.sh --image && bash scripts/check-dockerfile.sh
}

stage_clean() {
	title 'what is left behind'
	check 'nothing is left behind' nothing_left
}

kernel_stage() {
	local reason
	reason=$(obstacle)
	[ -z "$reason" ] || skip "$1" "$reason"
	[ -z "$reason" ]
}

# What one of these does not find is not there.
list_ours() {
	find /run/netns /sys/fs/bpf /sys/fs/cgroup /sys/fs/cgroup/* -maxdepth 1 -name 'ist-*' 2>/dev/null || true
	find /dev/shm "${TMPDIR:-/tmp}" -maxdepth 1 -name 'ist-cluster-*' 2>/dev/null || true
	find /proc -maxdepth 2 -name exe -lname '*/isthmus/k8s-*/bin/*' -printf 'process %h %l\n' 2>/dev/null || true
	find /proc -maxdepth 2 -name exe -lname "$ROOT/build/native/*" -printf 'process %h %l\n' 2>/dev/null || true
	awk '$2 ~ "^/run/isthmus/lab/" { print "mount " $2 }' /proc/mounts
	ip -o link show | awk -F': ' '$2 ~ /^ist/ { print "device " $2 }'
}

# Namespaces, mounts, cgroups, devices, pins and processes with our names; those of another run that is alive are its own.
remains() {
	local line owner
	list_ours | sort -u | while read -r line; do
		owner=$(grep -oE 'ist-([a-z]+-)?t?[0-9]+' <<<"$line" | grep -oE '[0-9]+$' || true)
		[ -n "$owner" ] && [ -d "/proc/$owner" ] || say "$line"
	done
}

nothing_left() {
	local left try
	# Who removes what a killed test left behind may need a moment.
	for try in 1 2 3 4 5; do
		left=$(comm -13 <(say "$before") <(remains))
		[ -n "$left" ] || return 0
		sleep 1
	done
	say "left behind, after $try tries:" >&2
	say "$left" >&2
	return 1
}

finish() {
	printf '\n'
	[ ${#remarks[@]} -eq 0 ] || printf '%s\n' "${remarks[@]}"
	say "all stages: $(since "$started_all") s"
	say "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
	exit
}

started_all=$(now)
wanted=("$@")
[ $# -gt 0 ] || wanted=("${STAGES[@]}")
for name in "${wanted[@]}"; do
	[[ " ${STAGES[*]} " == *" $name "* ]] || fail "there is no stage '$name'; stages: ${STAGES[*]}"
done
[ ! -e /run/isthmus/lab/lab.json ] ||
	fail 'a lab is up, and the tests would remove it. Nothing was run. Take it down first: npx isthmus lab down'

title 'setup and build'
check setup bash scripts/setup.sh --test
[ "$failed" -eq 0 ] || finish
check build bash scripts/build.sh
[ "$failed" -eq 0 ] || finish
mkdir -p "$RESULTS"
before=$(remains)
for name in "${wanted[@]}"; do
	"stage_$name"
done
finish
