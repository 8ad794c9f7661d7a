# shellcheck shell=bash
# What the scripts in ci/ share: headings, free ports, processes that are started and ended by pid, a scratch folder,
# and a tlogistry with one upstream. It must not know what is tested.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TLOGISTRY=${TLOGISTRY:-$ROOT/target/release/tlogistry}
WORK=$(mktemp -d -t tlogistry-ci.XXXXXX)
declare -A PIDS=()
declare -a STARTED=() PORTS=()

heading() {
  printf '\n== %s\n' "$*"
}

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# free_port: sets REPLY to a port that nobody listens on. Below the range that the system gives to connections, so
# that none of them takes it meanwhile.
free_port() {
  local candidate try
  for try in {1..200}; do
    candidate=$((20000 + RANDOM % 12000))
    [[ " ${PORTS[*]} " == *" $candidate "* ]] && continue
    if ! (: < "/dev/tcp/127.0.0.1/$candidate") 2> /dev/null; then
      PORTS+=("$candidate")
      REPLY=$candidate
      return
    fi
  done
  fail "no free port in $try tries"
}

# start NAME COMMAND…: runs it in the background; its output goes to $WORK/NAME.log.
start() {
  local name=$1
  shift
  "$@" > "$WORK/$name.log" 2>&1 < /dev/null &
  PIDS[$name]=$!
  STARTED+=("$name")
}

running() {
  [[ -n ${PIDS[$1]:-} ]] && kill -0 "${PIDS[$1]}" 2> /dev/null
}

# descendants PID: the processes below it, by pid.
descendants() {
  local child
  for child in $(ps -o pid= --ppid "$1"); do
    printf '%s\n' "$child"
    descendants "$child"
  done
}

# crash NAME: ends it at once, as a loss of power would.
crash() {
  kill -9 "${PIDS[$1]}"
  wait "${PIDS[$1]}" 2> /dev/null || true
}

# stop NAME: asks it to end, waits at most 20 seconds, then makes it; what it started goes with it.
stop() {
  local name=$1 below try
  running "$name" || return 0
  below=$(descendants "${PIDS[$name]}")
  kill "${PIDS[$name]}" 2> /dev/null || true
  for try in {1..200}; do
    running "$name" || break
    sleep 0.1
  done
  if running "$name"; then
    printf '%s did not stop after %d tries; killed\n' "$name" "$try" >&2
    kill -9 "${PIDS[$name]}" 2> /dev/null || true
  fi
  wait "${PIDS[$name]}" 2> /dev/null || true
  for try in $below; do
    kill -9 "$try" 2> /dev/null || true
  done
  unset "PIDS[$name]"
}

# wait_answer NAME URL: until the process NAME answers there with a 2xx, at most 30 seconds.
wait_answer() {
  local name=$1 url=$2 try
  for try in {1..150}; do
    curl -fsS --max-time 2 -o /dev/null "$url" 2> /dev/null && return
    running "$name" || fail "$name ended while it started: $(tail -n 5 "$WORK/$name.log")"
    sleep 0.2
  done
  fail "$name does not answer at $url after $try tries"
}

# wait_true NAME COMMAND…: until COMMAND succeeds for the process NAME, at most 30 seconds.
wait_true() {
  local name=$1 try
  shift
  for try in {1..150}; do
    "$@" > /dev/null 2>&1 && return
    running "$name" || fail "$name ended while it started: $(tail -n 5 "$WORK/$name.log")"
    sleep 0.2
  done
  fail "$name is not ready after $try tries"
}

# write_config PORT UPSTREAM URL: a configuration in $WORK/tlogistry.toml without budgets.
write_config() {
  cat > "$WORK/tlogistry.toml" << END
listen = "127.0.0.1:$1"
public_url = "http://localhost:$1"
data_dir = "$WORK/data"

[upstreams."$2"]
url = "$3"

[limits]
new_records_per_client_per_day = 0
new_records_per_upstream_per_day = 0
manifest_bytes_per_day = 0
moved_per_tag_per_day = 0
END
}

# start_tlogistry PORT: after write_config.
start_tlogistry() {
  [[ -x $TLOGISTRY ]] || fail "$TLOGISTRY is missing: run \`cargo build --release\` first"
  start tlogistry "$TLOGISTRY" serve --config "$WORK/tlogistry.toml"
  wait_answer tlogistry "http://127.0.0.1:$1/readyz"
}

# Ends what was started, newest first, and removes the scratch folder; after a failure shows the last log lines. A
# script that leaves more behind defines `tidy`.
finish() {
  local status=$? index name
  trap - EXIT
  set +e
  for ((index = ${#STARTED[@]} - 1; index >= 0; index--)); do
    name=${STARTED[index]}
    stop "$name"
    if ((status != 0)); then
      printf -- '-- last lines of %s\n' "$name" >&2
      tail -n 10 "$WORK/$name.log" | cut -c1-300 >&2
    fi
  done
  if declare -F tidy > /dev/null; then
    tidy
  fi
  awk -v below="$WORK/" 'index($2, below) == 1 { print $2 }' /proc/self/mounts | sort -r | while read -r mount; do
    umount -l "$mount"
  done
  rm -rf "$WORK"
  exit "$status"
}
trap finish EXIT
