#!/bin/bash
# kind: cluster
# The images that we ship: what is in them.
set -uo pipefail
. tests/integration/lib.sh

max_bytes=$((12 << 20))
tools/images -o json >"$work/images.json"
names() { jq -r '.[].name | ltrimstr("multicluster-service-account/") | sub(":[0-9].*"; "")' "$1"; }
check "each program has its image, with a version as tag" \
  diff <(names "$work/images.json") <(printf '%s\n' broker generic-client kubemcsa multicluster-client sidecar watch-client webhook)
check "the sidecar's is no larger than 8 MB" test "$(jq '.[] | select(.name | test("/sidecar:")).size' "$work/images.json")" -le 8000000

# Prints what is wrong with an archive.
flaws() {
  python3 - "$@" <<'PY'
import gzip, io, json, re, struct, sys, tarfile

def is_static(elf):
    """Whether an ELF64 file asks for no interpreter: PT_INTERP, 3."""
    assert elf[:5] == b"\x7fELF\x02", "no ELF64 file"
    offset, size, count = struct.unpack_from("<Q", elf, 32)[0], *struct.unpack_from("<HH", elf, 54)
    types = [struct.unpack_from("<I", elf, offset + i * size)[0] for i in range(count)]
    return count > 0 and 3 not in types

archive, name, digest, limit = sys.argv[1:]
tar = tarfile.open(archive)
blob = lambda d: tar.extractfile("blobs/" + d.replace(":", "/")).read()
index = json.load(tar.extractfile("index.json"))["manifests"]
assert len(index) == 1, "more than one manifest"
assert index[0]["digest"] == digest
manifest = json.loads(blob(digest))
config = json.loads(blob(manifest["config"]["digest"]))
labels = config["config"]["Labels"]
assert re.fullmatch(r"\d+:\d+", config["config"]["User"]), "the user is not numeric"
for label in "title", "version", "description", "licenses":
    assert labels.get("org.opencontainers.image." + label), f"no label {label}"
assert labels["org.opencontainers.image.version"] == name.partition(":")[2], "label and tag differ"
layers = [blob(layer["digest"]) for layer in manifest["layers"]]
assert sum(map(len, layers)) <= int(limit), "too large"
programs = 0
for layer in layers:
    files = tarfile.open(fileobj=io.BytesIO(gzip.decompress(layer)))
    for file in files:
        known = "etc", "etc/ssl", "etc/ssl/certs", "etc/ssl/certs/ca-certificates.crt", "tmp"
        assert file.name in known or re.fullmatch(r"mcsa-[a-z]+|kubemcsa|(multicluster|generic|watch)-client", file.name), file.name
        assert not (file.mode & 0o6000), f"{file.name} is setuid"
        if file.isfile() and file.mode & 0o111:
            programs += 1
            assert is_static(files.extractfile(file).read()), f"{file.name} is not static"
assert programs, "no program"
PY
}
while read -r archive name digest; do
  check "$name: static programs alone, labels, a numeric user, no shell" flaws "$archive" "$name" "$digest" "$max_bytes"
done < <(jq -r '.[] | "\(.archive) \(.name) \(.digest)"' "$work/images.json")
