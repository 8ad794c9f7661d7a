# shellcheck shell=bash
# Debian's container engines, each with all of its state in $WORK, and what they are to be called with on a machine that
# allows little. After lib.sh and tools.sh. It must not know what is pulled.

# Newer programs of the same names may be in ci/.cache/bin, and engines start each other by name.
DEBIAN=/usr/sbin:/usr/bin:/sbin:/bin

install_engines() {
  install_packages curl jq procps gcc libc6-dev skopeo podman buildah docker.io docker-registry containerd runc
  mkdir -p "$WORK/home/docker"
  printf "{}" > "$WORK/home/docker/config.json"
  export HOME=$WORK/home DOCKER_CONFIG=$WORK/home/docker
}

podman() {
  command podman --root "$WORK/podman/root" --runroot "$WORK/podman/run" --tmpdir "$WORK/podman/tmp" \
    --storage-driver vfs --cgroup-manager cgroupfs --events-backend none --runtime /usr/sbin/runc "$@"
}
buildah() {
  command buildah --root "$WORK/buildah/root" --runroot "$WORK/buildah/run" --storage-driver vfs "$@"
}
docker() { /usr/bin/docker --host "unix://$WORK/docker.sock" "$@"; }
ctr() { /usr/bin/ctr --address "$WORK/containerd.sock" "$@"; }

# The engines leave empty cgroups. One that is in use cannot be removed, so nobody else's is.
tidy() {
  find /sys/fs/cgroup -depth -type d \( -path '*/docker' -o -path '*/default' -o -path '*/libpod_parent*' \) \
    -exec rmdir {} + 2> /dev/null
}

# start_docker FILE: with this daemon.json.
start_docker() {
  # The image needs no network, so dockerd touches none; vfs needs nothing of the file system.
  start dockerd env PATH=$DEBIAN dockerd --config-file "$1" --host "unix://$WORK/docker.sock" \
    --pidfile "$WORK/dockerd.pid" --data-root "$WORK/docker" --exec-root "$WORK/docker-run" \
    --iptables=false --ip6tables=false --bridge=none --storage-driver=vfs
  wait_true dockerd docker version
}

start_containerd() {
  cat > "$WORK/containerd.toml" << END
version = 2
root = "$WORK/containerd"
state = "$WORK/containerd-run"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$WORK/containerd.sock"
END
  start containerd env PATH=$DEBIAN containerd --config "$WORK/containerd.toml"
  wait_true containerd ctr version
}

# start_registry PORT: Debian's; images are pushed to it.
start_registry() {
  REGISTRY=127.0.0.1:$1
  cat > "$WORK/registry.yml" << END
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $WORK/registry}}
http: {addr: "$REGISTRY", secret: for-one-run}
END
  start registry docker-registry serve "$WORK/registry.yml"
  wait_answer registry "http://$REGISTRY/v2/"
}

# push LAYOUT REPOSITORY:TAG: puts the image straight into the registry, past us.
push() {
  command skopeo copy --quiet --all --dest-tls-verify=false "oci:$WORK/$1:image" "docker://$REGISTRY/$2"
}

# digest_of LAYOUT: the digest that a tag of this image means.
digest_of() {
  jq -r '.manifests[0].digest' "$WORK/$1/index.json"
}

# start_decoy: after build_oracle; from now on whatever does not stay on this machine goes to it. $WORK/asked has a
# line for each request, with the host.
start_decoy() {
  free_port
  : > "$WORK/asked"
  start decoy "$CACHE/oracle/decoy" --listen "127.0.0.1:$REPLY" --asked "$WORK/asked"
  wait_true decoy listens "$REPLY"
  export HTTP_PROXY=http://127.0.0.1:$REPLY HTTPS_PROXY=http://127.0.0.1:$REPLY
  export http_proxy=$HTTP_PROXY https_proxy=$HTTPS_PROXY NO_PROXY=localhost,127.0.0.1 no_proxy=localhost,127.0.0.1
}

listens() {
  (: < "/dev/tcp/127.0.0.1/$1") 2> /dev/null
}

# asked_for: prints who was asked for since the last call, one host a line.
asked_for() {
  cut -d: -f1 "$WORK/asked" | sort -u
  : > "$WORK/asked"
}
