# shellcheck shell=bash
# Outside tools, each built once into ci/.cache and pinned here, and how they are called. It must not know what a
# script shows with them.

TESSERA_VERSION=v1.0.4
TORCHWOOD_VERSION=v0.6.1
CONTAINERD_VERSION=v2.4.2
MOBY_VERSION=v2.0.0-beta.24
CONFORMANCE_VERSION=v0.0.0-20260831232431-97274622c111
DISTRIBUTION_VERSION=v3.1.1
CRANE_VERSION=v0.22.1
REGCTL_VERSION=v0.11.7
ORAS_VERSION=v1.3.6
COSIGN_VERSION=v3.1.2
CARGO_DENY_VERSION=0.20.2
CARGO_FUZZ_VERSION=0.13.2

CACHE=$ROOT/ci/.cache
mkdir -p "$CACHE/bin"
export PATH=$CACHE/bin:$PATH

# once STAMP COMMAND…: runs COMMAND unless it has succeeded with this STAMP before.
once() {
  local stamp=$CACHE/$1
  shift
  [[ -e $stamp ]] && return
  "$@"
  touch "$stamp"
}

need_go() {
  command -v go > /dev/null || fail "go is missing: install Go 1.26 or newer"
}

# build_cargo_tool NAME VERSION. Not optimised: a tool runs for a second, and building it would be most of the time.
build_cargo_tool() {
  once "$1-$2" \
    env CARGO_PROFILE_DEV_DEBUG=false \
    cargo install "$1" --debug --quiet --locked --version "$2" --root "$CACHE" --target-dir "$CACHE/target"
  rm -rf "$CACHE/target"
}

build_cargo_deny() {
  build_cargo_tool cargo-deny "$CARGO_DENY_VERSION"
}

build_cargo_fuzz() {
  build_cargo_tool cargo-fuzz "$CARGO_FUZZ_VERSION"
}

# build_go_tool COMMAND VERSION: a command by its import path. Without the fallback to repositories, which would be
# asked for every folder above the command.
build_go_tool() {
  need_go
  once "$(basename "$1")-$2" \
    env GOBIN="$CACHE/bin" GOPROXY="$(go env GOPROXY | sed 's/[,|]direct$//')" go install "$1@$2"
}

build_tessera_fsck() {
  build_go_tool github.com/transparency-dev/tessera/cmd/fsck "$TESSERA_VERSION"
}

build_tessera_oneshot() {
  build_go_tool github.com/transparency-dev/tessera/cmd/examples/posix-oneshot "$TESSERA_VERSION"
}

build_tessera_hammer() {
  build_go_tool github.com/transparency-dev/tessera/internal/hammer "$TESSERA_VERSION"
}

# tessera_fsck URL: reads the log there, by the key in $WORK/vkey; what it says is in $WORK/fsck.log.
tessera_fsck() {
  fsck --storage_url "$1" --public_key "$WORK/vkey" --ui=false --N 4 > "$WORK/fsck.log" 2>&1 && return
  tail -n 20 "$WORK/fsck.log" >&2
  fail "Tessera's fsck refuses $1"
}

# crane, and the registry in memory of the same module, which takes pushes.
build_crane() {
  build_go_tool github.com/google/go-containerregistry/cmd/crane "$CRANE_VERSION"
  build_go_tool github.com/google/go-containerregistry/cmd/registry "$CRANE_VERSION"
}

# CNCF Distribution's registry, in a folder of its own: `registry` is also the name of crane's.
build_distribution() {
  need_go
  once "distribution-$DISTRIBUTION_VERSION" env GOBIN="$CACHE/distribution" \
    GOPROXY="$(go env GOPROXY | sed 's/[,|]direct$//')" \
    go install "github.com/distribution/distribution/v3/cmd/registry@$DISTRIBUTION_VERSION"
}

build_conformance() {
  build_go_tool github.com/opencontainers/distribution-spec/conformance "$CONFORMANCE_VERSION"
}

# Clients that are newer than Debian's. They have the names of Debian's, so call them by path: $CACHE/bin/NAME.
build_new_clients() {
  build_go_tool github.com/containerd/containerd/v2/cmd/containerd "$CONTAINERD_VERSION"
  build_go_tool github.com/containerd/containerd/v2/cmd/ctr "$CONTAINERD_VERSION"
  build_go_tool github.com/moby/moby/v2/cmd/dockerd "$MOBY_VERSION"
  build_crane
  build_go_tool github.com/regclient/regclient/cmd/regctl "$REGCTL_VERSION"
  build_go_tool oras.land/oras/cmd/oras "$ORAS_VERSION"
  build_go_tool github.com/sigstore/cosign/v3/cmd/cosign "$COSIGN_VERSION"
}

build_litewitness() {
  build_go_tool filippo.io/torchwood/cmd/litewitness "$TORCHWOOD_VERSION"
}

# Our own programs for these tests: `oracle`, `registry`, `kill`. Go keeps what is unchanged.
build_oracle() {
  need_go
  (cd "$ROOT/ci/oracle" && env GOBIN="$CACHE/oracle" go install ./...)
}

# start_fake_registry: after build_oracle; a registry that has every tag, at the port REPLY.
start_fake_registry() {
  free_port
  start registry "$CACHE/oracle/registry" --listen "127.0.0.1:$REPLY"
  wait_answer registry "http://127.0.0.1:$REPLY/v2/"
}

# install_packages PACKAGE…: Debian packages that are not installed yet.
install_packages() {
  local package missing=()
  export DEBIAN_FRONTEND=noninteractive
  for package; do
    dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q '^install ok installed$' || missing+=("$package")
  done
  ((${#missing[@]} == 0)) && return
  printf 'installing %s\n' "${missing[*]}"
  local try
  # The second try mends what an installation that was cut off has left.
  for try in 1 2; do
    if {
      apt-get -o DPkg::Lock::Timeout=600 update &&
        apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${missing[@]}"
    } > "$WORK/apt.log" 2>&1; then
      return
    fi
    ((try == 2)) || apt-get -o DPkg::Lock::Timeout=600 --fix-broken install -y > "$WORK/apt-mend.log" 2>&1 || true
  done
  tail -n 20 "$WORK/apt.log" >&2
  fail "cannot install ${missing[*]}"
}
