# shellcheck shell=bash
# Makes a tiny image as an OCI layout: one static binary that prints its words, behind an index for linux/amd64.
# It must not know who pulls it. Needs gcc, tar, gzip, sha256sum.

# blob LAYOUT FILE: moves FILE into the layout under its digest; prints `<hex> <size>`.
blob() {
  local hex size
  hex=$(sha256sum "$2" | cut -d' ' -f1)
  size=$(stat -c %s "$2")
  mv "$2" "$1/blobs/sha256/$hex"
  printf '%s %s\n' "$hex" "$size"
}

# descriptor TYPE HEX SIZE
descriptor() {
  printf '"mediaType":"application/vnd.oci.image.%s","digest":"sha256:%s","size":%s' "$1" "$2" "$3"
}

# make_image LAYOUT WORDS: writes the layout; the image's only program prints WORDS.
make_image() {
  local layout=$1 words=$2 work layer config manifest index diff
  work=$(mktemp -d -p "${WORK:?}")
  mkdir -p "$layout/blobs/sha256" "$work/root"
  printf '#include <stdio.h>\nint main(void) { puts("%s"); return 0; }\n' "$words" > "$work/hello.c"
  gcc -static -Os -s -o "$work/root/hello" "$work/hello.c"

  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$work/root" -cf "$work/layer.tar" hello
  diff=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
  gzip -n "$work/layer.tar"
  read -ra layer <<< "$(blob "$layout" "$work/layer.tar.gz")"

  printf '{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/hello"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$diff" > "$work/config"
  read -ra config <<< "$(blob "$layout" "$work/config")"

  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{%s},"layers":[{%s}]}' \
    "$(descriptor config.v1+json "${config[@]}")" "$(descriptor layer.v1.tar+gzip "${layer[@]}")" > "$work/manifest"
  read -ra manifest <<< "$(blob "$layout" "$work/manifest")"

  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{%s,"platform":{"architecture":"amd64","os":"linux"}}]}' \
    "$(descriptor manifest.v1+json "${manifest[@]}")" > "$work/index"
  read -ra index <<< "$(blob "$layout" "$work/index")"

  printf '{"schemaVersion":2,"manifests":[{%s,"annotations":{"org.opencontainers.image.ref.name":"image"}}]}' \
    "$(descriptor index.v1+json "${index[@]}")" > "$layout/index.json"
  printf '{"imageLayoutVersion":"1.0.0"}' > "$layout/oci-layout"
  rm -rf "$work"
}
