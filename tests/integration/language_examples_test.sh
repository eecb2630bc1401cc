#!/bin/bash
# kind: node
# The examples in Go, Python, Node.js and shell on a real node: the manifests of their pages, each through its door.
set -uo pipefail
. tests/integration/lib.sh

prints() { [[ $(k1 logs "job/list-pods-$1" --tail=1) == "default hello" ]]; }

check "install loads our images and connects the clusters" tools/clusters install
k2 apply -f k8s/manifests/samples/account.yaml >/dev/null
k2 run hello --image=localhost/pause:1 --restart=Never >/dev/null
mkdir "$work/images"
check "the examples' images are built" python3 tests/example_images.py "$work/images"
check "and loaded" tools/clusters load "$work"/images/*.tar
for example in go python node shell; do
  check "$example: import and Job are made" k1 apply -f "examples/$example/job.yaml"
done
for example in go python node shell; do
  eventually "$example: prints the pod of the other cluster" 90 prints "$example"
done
check "no log holds a token" lacks eyJ k1 logs -l batch.kubernetes.io/job-name --tail=-1
