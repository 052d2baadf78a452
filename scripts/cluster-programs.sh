#!/bin/bash
# Finds the programs of a Kubernetes cluster, or builds them as Go modules; its only line of output is where they are.
#   scripts/cluster-programs.sh           builds what is missing; quick when nothing is
#   scripts/cluster-programs.sh --find    only looks; status 1 and the reason when something is missing
#   scripts/cluster-programs.sh --control only etcd, kube-apiserver and kubectl
# Looked for like envtest does: in KUBEBUILDER_ASSETS, where kube-apiserver is in PATH, then in the cache, where they are built.
. "$(dirname "$0")/common.sh"

readonly TOOLS=$ROOT/test/cluster/tools
KUBERNETES=$(awk '$2 == "k8s.io/kubernetes" { print $3 }' "$TOOLS/go.mod")
readonly KUBERNETES
readonly CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/isthmus/k8s-$KUBERNETES/bin
readonly CONTROL=(etcd kube-apiserver kubectl)
readonly NODES=(kube-controller-manager kube-scheduler kubelet kube-proxy agnhost coredns helm)

programs=("${CONTROL[@]}")
[[ " $* " == *" --control "* ]] || programs+=("${NODES[@]}")

tell() {
	printf '%s\n' "cluster programs: $*" >&2
}

# Whether a directory has every program.
complete() {
	local program
	[ -n "$1" ] || return 1
	for program in "${programs[@]}"; do
		[ -x "$1/$program" ] || return 1
	done
}

find_programs() {
	local server directory
	server=$(command -v kube-apiserver || true)
	for directory in "${KUBEBUILDER_ASSETS:-}" "${server%/*}" "$CACHE"; do
		complete "$directory" || continue
		say "$directory"
		return
	done
	return 1
}

package_of() {
	case $1 in
	etcd) say go.etcd.io/etcd/server/v3 ;;
	agnhost) say k8s.io/kubernetes/test/images/agnhost ;;
	coredns) say . ;;
	helm) say helm.sh/helm/v3/cmd/helm ;;
	*) say "k8s.io/kubernetes/cmd/$1" ;;
	esac
}

# Kubernetes says of itself what its linker was told.
link_flags() {
	local package minor=${KUBERNETES#v1.}
	printf -- '-s -w'
	for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
		printf ' -X %s.gitVersion=%s -X %s.gitMajor=1 -X %s.gitMinor=%s' \
			"$package" "$KUBERNETES" "$package" "$package" "${minor%%.*}"
	done
	# The version that helm renders for where there is no cluster.
	package=helm.sh/helm/v3/pkg/chartutil
	printf ' -X %s.k8sVersionMajor=1 -X %s.k8sVersionMinor=%s' "$package" "$package" "${minor%%.*}"
}

# One after the other, so that what is there already shows how far it got; a half-written file never has the final name.
build() {
	local program=$1 module=$TOOLS started
	started=$(now)
	tell "building $program"
	[ ! -d "$TOOLS/$program" ] || module=$TOOLS/$program
	(cd "$module" && go build -trimpath -p 2 -ldflags "$(link_flags)" -o "$CACHE/.$program" "$(package_of "$program")") >&2 ||
		fail "$program could not be built (see above). What was built before stays in $CACHE." \
			"Is the Go module proxy reachable ($(go env GOPROXY))? Run again when it is"
	mv "$CACHE/.$program" "$CACHE/$program"
	tell "built $program ($(since "$started") s)"
}

if find_programs; then exit 0; fi
missing=()
for program in "${programs[@]}"; do
	[ -x "$CACHE/$program" ] || missing+=("$program")
done
obstacle=
command -v go >/dev/null || obstacle="; there is no Go to build them with"
if [[ " $* " == *" --find "* ]] || [ -n "$obstacle" ]; then
	fail "${missing[*]} not found in KUBEBUILDER_ASSETS, PATH or $CACHE$obstacle. Nothing was changed." \
		"Build them: bash scripts/cluster-programs.sh (Go 1.25 or newer, about ten minutes once, some GB of Go's caches)"
fi
export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false CGO_ENABLED=0
mkdir -p "$CACHE"
tell "Kubernetes $KUBERNETES, into $CACHE: ${missing[*]}"
for program in "${missing[@]}"; do
	build "$program"
done
find_programs
