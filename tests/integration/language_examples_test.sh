#!/bin/bash
# kind: node
# The examples on a real node, a page for each language: its manifest prints what the page says, through its door.
set -uo pipefail
. tests/integration/lib.sh

# What the page of an example says that it prints: the block after the word.
shown() { sed -n '/^prints/,$p' "examples/$1/README.md" | sed -n '/^```$/,/^```$/ { /^```/!p }'; }
prints() {
  local expected printed
  expected=$(shown "$1")
  printed=$(k1 logs "job/list-pods-$1" --tail="$(wc -l <<<"$expected")")
  echo "$printed instead of $expected"
  [[ -n $expected && $printed == "$expected" ]]
}

check "install loads our images, that of C++ among them, and connects the clusters" outside tools/clusters install
k2 apply -f k8s/manifests/samples/account.yaml >/dev/null
k2 run hello --image=localhost/pause:1 --restart=Never >/dev/null
examples=(go python node shell)
check "the images of the others are built" outside examples/images.py "$work/images" "${examples[@]}"
check "and loaded" tools/clusters load "$work"/images/*.tar
examples+=(cpp)
for example in "${examples[@]}"; do
  check "$example: import and Job are made" k1 apply -f "examples/$example/job.yaml"
done
for example in "${examples[@]}"; do
  eventually "$example: prints what its page says" 90 prints "$example"
done
check "no log holds a token" lacks eyJ k1 logs -l batch.kubernetes.io/job-name --tail=-1
