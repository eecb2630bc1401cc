#!/bin/bash
# kind: build
# Another checkout, elsewhere and with nothing cached, builds the same images.
set -uo pipefail
. tests/integration/lib.sh

tools/images -o json >"$work/images.json"
# A clone with what is not committed yet, another home, so that Bazel finds neither cache nor settings.
git clone -q . "$work/elsewhere"
git diff HEAD --binary | git -C "$work/elsewhere" apply --allow-empty
build_elsewhere() {
  cd "$work/elsewhere" && HOME=$work/home DEBIAN_SOURCE_CACHE=${DEBIAN_SOURCE_CACHE-$HOME/.cache/debian-source} \
    bash -c 'tools/images -o json >../elsewhere.json; status=$?; bazel shutdown; exit $status'
}
mkdir -p "$work/home"
check "another checkout builds" build_elsewhere
digests() { jq -r '.[] | "\(.name) \(.digest)"' "$1"; }
check "and its images have the same digests" diff <(digests "$work/images.json") <(digests "$work/elsewhere.json")
chmod -R u+w "$work/home"
