#!/bin/bash
# kind: node
# The README's code blocks, extracted and run word for word, in their order, on nodes that hold our images and nothing else.
set -uo pipefail
. tests/integration/lib.sh

mapfile -t archives < <(outside tools/images -o json | python3 -c 'import json, sys; [print(i["archive"]) for i in json.load(sys.stdin)]')
check "our images are loaded" tools/clusters load "${archives[@]}"
python3 - "$work" <<'PYTHON'
import pathlib, re, sys
for i, (language, block) in enumerate(re.findall(r"^```(\w+)\n(.*?)^```$", pathlib.Path("README.md").read_text(), re.S | re.M)):
    pathlib.Path(sys.argv[1], f"{i:02}.{language}").write_text(block)
PYTHON
blocks=("$work"/*.sh)
check "there are blocks to run" test "${#blocks[@]}" -ge 4
for block in "${blocks[@]}"; do
  check "block $(basename "$block"): $(head -1 "$block")" bash -euo pipefail "$block"
done
check "the example at the top is accepted" k1 apply -f "$work/00.yaml"
check "the Job listed cluster2's pod" says hello k1 logs job/multicluster-client
check "and nothing of its own cluster" lacks "multicluster-client-" k1 logs job/multicluster-client

# --- what it names exists
names() { grep -oE "$1" README.md | sort -u; }
outside tools/images -o json | python3 -c 'import json, sys; [print(i["name"]) for i in json.load(sys.stdin)]' >"$work/images"
for image in $(names '(image: |--image=)[^ ]+' | sed -E 's/image: |--image=//'); do
  check "image $image is one that we ship" grep -qx -- "$image" "$work/images"
done
for file in $(names '\]\([^)]+\)' | tr -d '])('); do check "file $file is there" test -e "$file"; done
