# shellcheck shell=bash
# The real servers of Sigstore on loopback: Trillian with MariaDB and Rekor v1, Rekor v2 on files, Fulcio with an issuer of
# our own and a CT log (TesseraCT), a timestamp authority; and what trusts them, made by cosign. After lib.sh and tools.sh.
# It must not know who signs what.

TRILLIAN_VERSION=v1.7.3
REKOR_VERSION=v1.5.4
REKOR_TILES_VERSION=v2.3.0
FULCIO_VERSION=v1.8.8
TSA_VERSION=v2.1.3
# v0.1.2 needs a module version that is not served.
TESSERACT_VERSION=v0.1.1

declare -A AT=()

# build_go_tool_into FOLDER COMMAND VERSION: for commands whose name says nothing.
build_go_tool_into() {
  need_go
  once "$1-$3" env GOBIN="$CACHE/sigstore/$1" GOPROXY="$(go env GOPROXY | sed 's/[,|]direct$//')" go install "$2@$3"
}

build_sigstore() {
  build_go_tool github.com/google/trillian/cmd/trillian_log_server "$TRILLIAN_VERSION"
  build_go_tool github.com/google/trillian/cmd/trillian_log_signer "$TRILLIAN_VERSION"
  build_go_tool github.com/sigstore/rekor/cmd/rekor-server "$REKOR_VERSION"
  build_go_tool github.com/sigstore/fulcio "$FULCIO_VERSION"
  build_go_tool github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server "$TSA_VERSION"
  build_go_tool github.com/sigstore/cosign/v3/cmd/cosign "$COSIGN_VERSION"
  build_go_tool_into rekor2 github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix "$REKOR_TILES_VERSION"
  build_go_tool_into tesseract github.com/transparency-dev/tesseract/cmd/tesseract/posix "$TESSERACT_VERSION"
}

# ports NAME…: a free port for each, in AT.
ports() {
  local name
  for name; do
    free_port
    AT[$name]=$REPLY
  done
}

listens() {
  bash -c ": < /dev/tcp/127.0.0.1/$1"
}

# keys_of_sigstore: everything that signs, in $WORK/sigstore.
keys_of_sigstore() {
  local s=$WORK/sigstore
  mkdir -p "$s/attestations" "$s/tiles" "$s/ct"
  openssl ecparam -name prime256v1 -genkey -noout -out "$s/sec1.pem" 2> /dev/null
  openssl pkcs8 -topk8 -nocrypt -in "$s/sec1.pem" -out "$s/rekor1.pem"
  openssl ec -in "$s/sec1.pem" -pubout -out "$s/rekor1.pub" 2> /dev/null
  openssl genpkey -algorithm ed25519 -out "$s/rekor2.pem"
  openssl pkey -in "$s/rekor2.pem" -pubout -out "$s/rekor2.pub"
  openssl ecparam -name prime256v1 -genkey -noout -out "$s/ct.pem" 2> /dev/null
  openssl ec -in "$s/ct.pem" -pubout -out "$s/ct.pub" 2> /dev/null
  openssl ecparam -name prime256v1 -genkey -noout -out "$s/root.plain" 2> /dev/null
  openssl pkcs8 -topk8 -in "$s/root.plain" -passout pass:fulcio -out "$s/root.key"
  cat > "$s/root.cnf" << 'END'
[req]
distinguished_name = dn
prompt = no
x509_extensions = ext
[dn]
O = local
CN = local fulcio root
[ext]
basicConstraints = critical,CA:TRUE,pathlen:1
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
END
  openssl req -x509 -new -key "$s/root.plain" -days 30 -config "$s/root.cnf" -out "$s/root.pem"
}

start_database() {
  local s=$WORK/sigstore schema module
  module=$(cd "$ROOT/ci/oracle" && go mod download -json "github.com/google/trillian@$TRILLIAN_VERSION" | jq -r .Dir)
  schema=$module/storage/mysql/schema/storage.sql
  mariadb-install-db --no-defaults --user="$(id -un)" --datadir="$s/db" --skip-test-db \
    --auth-root-authentication-method=normal > "$WORK/install-db.log" 2>&1 || fail "MariaDB cannot be set up"
  start mariadb mariadbd --no-defaults --user="$(id -un)" --datadir="$s/db" --socket="$s/db.sock" \
    --bind-address=127.0.0.1 --port="${AT[db]}" --pid-file="$s/db.pid" --skip-log-bin
  wait_true mariadb mariadb --no-defaults --socket="$s/db.sock" -u root -e 'SELECT 1'
  mariadb --no-defaults --socket="$s/db.sock" -u root << 'END'
CREATE DATABASE rekor;
CREATE USER 'rekor'@'localhost' IDENTIFIED BY 'rekor';
CREATE USER 'rekor'@'127.0.0.1' IDENTIFIED BY 'rekor';
GRANT ALL ON rekor.* TO 'rekor'@'localhost';
GRANT ALL ON rekor.* TO 'rekor'@'127.0.0.1';
END
  mariadb --no-defaults --socket="$s/db.sock" -u root rekor < "$schema"
}

start_trillian() {
  local dsn="rekor:rekor@tcp(127.0.0.1:${AT[db]})/rekor?parseTime=true&interpolateParams=true"
  start trillian trillian_log_server --quota_system=noop --storage_system=mysql --mysql_uri="$dsn" \
    --rpc_endpoint="127.0.0.1:${AT[trillian]}" --http_endpoint="127.0.0.1:${AT[trillian_http]}" --alsologtostderr
  start trillian-signer trillian_log_signer --quota_system=noop --storage_system=mysql --mysql_uri="$dsn" \
    --rpc_endpoint="127.0.0.1:${AT[signer]}" --http_endpoint="127.0.0.1:${AT[signer_http]}" \
    --force_master --sequencer_interval=100ms --alsologtostderr
  wait_true trillian listens "${AT[trillian]}"
}

start_rekor1() {
  local s=$WORK/sigstore
  local dsn="rekor:rekor@tcp(127.0.0.1:${AT[db]})/rekor?parseTime=true&interpolateParams=true"
  local tree=()
  [[ -e $s/tree ]] && tree=(--trillian_log_server.tlog_id="$(cat "$s/tree")")
  start rekor1 env TMPDIR="$s/attestations" rekor-server serve \
    --trillian_log_server.address=127.0.0.1 --trillian_log_server.port="${AT[trillian]}" "${tree[@]}" \
    --rekor_server.address=127.0.0.1 --port="${AT[rekor1]}" --rekor_server.hostname=rekor.local \
    --rekor_server.signer="$s/rekor1.pem" --enable_attestation_storage \
    --attestation_storage_bucket="file://$s/attestations" \
    --search_index.storage_provider=mysql --search_index.mysql.dsn="$dsn"
  wait_answer rekor1 "http://127.0.0.1:${AT[rekor1]}/ping"
  # Without its tree it makes a new one at each start.
  [[ -e $s/tree ]] || curl -fsS "http://127.0.0.1:${AT[rekor1]}/api/v1/log" | jq -r .treeID > "$s/tree"
}

start_rekor2() {
  local s=$WORK/sigstore
  start rekor2 "$CACHE/sigstore/rekor2/posix" serve --http-address=127.0.0.1 --http-port="${AT[rekor2]}" \
    --grpc-address=127.0.0.1 --grpc-port="${AT[rekor2_grpc]}" --http-metrics-port="${AT[rekor2_metrics]}" \
    --hostname=rekor2.local --storage-dir="$s/tiles" --signer-filepath="$s/rekor2.pem" --checkpoint-interval=1s \
    --persistent-antispam=true
  wait_answer rekor2 "http://127.0.0.1:${AT[rekor2]}/healthz"
}

start_fulcio() {
  local s=$WORK/sigstore
  rm -f "$s/fulcio.sock"
  cat > "$s/fulcio.yaml" << END
oidc-issuers:
  http://127.0.0.1:${AT[issuer]}:
    issuer-url: http://127.0.0.1:${AT[issuer]}
    client-id: sigstore
    type: email
    contact: dev@example.test
    description: local
END
  start fulcio fulcio serve --host=127.0.0.1 --port="${AT[fulcio]}" --grpc-host=127.0.0.1 --grpc-port="${AT[fulcio_grpc]}" \
    --metrics-port="${AT[fulcio_metrics]}" --legacy-unix-domain-socket="$s/fulcio.sock" --ca=fileca \
    --fileca-cert="$s/root.pem" --fileca-key="$s/root.key" --fileca-key-passwd=fulcio \
    --ct-log-url="http://127.0.0.1:${AT[ct]}" --config-path="$s/fulcio.yaml"
  wait_answer fulcio "http://127.0.0.1:${AT[fulcio]}/api/v2/trustBundle"
}

# start_sigstore: all of them; the trusted root and two signing configurations are in $WORK/sigstore afterwards.
start_sigstore() {
  local s=$WORK/sigstore
  ports db trillian trillian_http signer signer_http rekor1 rekor2 rekor2_grpc rekor2_metrics front issuer fulcio \
    fulcio_grpc fulcio_metrics ct tsa
  keys_of_sigstore
  start issuer "$CACHE/oracle/issuer" -listen "127.0.0.1:${AT[issuer]}"
  wait_answer issuer "http://127.0.0.1:${AT[issuer]}/keys"
  start_database
  start_trillian
  # Before Rekor: both want the same port for metrics, and only Rekor can do without.
  start tsa timestamp-server serve --host=127.0.0.1 --port="${AT[tsa]}" --timestamp-signer=memory --disable-ntp-monitoring
  wait_answer tsa "http://127.0.0.1:${AT[tsa]}/ping"
  start_rekor1
  start_rekor2
  start rekorfront "$CACHE/oracle/rekorfront" -listen "127.0.0.1:${AT[front]}" \
    -server "http://127.0.0.1:${AT[rekor2]}" -storage "$s/tiles"
  start tesseract "$CACHE/sigstore/tesseract/posix" --private_key="$s/ct.pem" --origin=ct.local --storage_dir="$s/ct" \
    --roots_pem_file="$s/root.pem" --ext_key_usages=CodeSigning --http_endpoint="127.0.0.1:${AT[ct]}"
  wait_true tesseract listens "${AT[ct]}"
  start_fulcio
  trust_sigstore
}

trust_sigstore() {
  local s=$WORK/sigstore since=2024-01-01T00:00:00Z version url
  curl -fsS "http://127.0.0.1:${AT[tsa]}/api/v1/timestamp/certchain" > "$s/tsa.pem"
  cosign trusted-root create \
    --fulcio="url=http://127.0.0.1:${AT[fulcio]},certificate-chain=$s/root.pem,start-time=$since" \
    --rekor="url=http://127.0.0.1:${AT[rekor1]},public-key=$s/rekor1.pub,start-time=$since" \
    --rekor="url=http://rekor2.local,public-key=$s/rekor2.pub,start-time=$since,origin=rekor2.local" \
    --ctfe="url=http://127.0.0.1:${AT[ct]},public-key=$s/ct.pub,start-time=$since" \
    --tsa="url=http://127.0.0.1:${AT[tsa]}/api/v1/timestamp,certificate-chain=$s/tsa.pem,start-time=$since" \
    --out "$s/trusted_root.json"
  for version in 1 2; do
    url=http://127.0.0.1:${AT[rekor1]}
    ((version == 1)) || url=http://127.0.0.1:${AT[front]}
    cosign signing-config create \
      --fulcio="url=http://127.0.0.1:${AT[fulcio]},api-version=1,start-time=$since,operator=local" \
      --rekor="url=$url,api-version=$version,start-time=$since,operator=local" --rekor-config=ANY \
      --oidc-provider="url=http://127.0.0.1:${AT[issuer]},api-version=1,start-time=$since,operator=local" \
      --tsa="url=http://127.0.0.1:${AT[tsa]}/api/v1/timestamp,api-version=1,start-time=$since,operator=local" \
      --tsa-config=ANY --out "$s/signing_config.$version.json"
  done
}

# token EMAIL: one of the issuer.
token() {
  curl -fsS "http://127.0.0.1:${AT[issuer]}/token?email=$1"
}
