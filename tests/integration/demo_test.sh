#!/bin/bash
# kind: cluster
# tools/demo on clusters of its user: it tells its story, ends with "demo: ok", and leaves nothing of it in them.
set -uo pipefail
. tests/integration/lib.sh

objects() {
  local context
  for context in cluster1 cluster2; do
    kubectl --context $context get namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,validatingadmissionpolicies -o name
  done | sort
}
told() { grep -qF -- "$1" "$work/told"; }
objects >"$work/before"
check "the demo succeeds" eval 'tools/demo --contexts cluster1,cluster2 >"$work/printed" 2>"$work/told"'
check "its last line says so" test "$(tail -1 "$work/printed")" = "demo: ok"
check "it shows the imported account's pods" grep -qE '^hello +[01]/1 ' "$work/told"
check "that the token was renewed" told "pod-lister: token JTI="
check "and refused in the end" told "the token is refused"
check "it prints no token" refused grep -q 'ey[A-Za-z0-9_-]*\.ey' "$work/told" "$work/printed"
objects >"$work/after"
check "what it made is gone" diff "$work/before" "$work/after"
check "a context that is not there is an error" eval '! tools/demo --contexts cluster1,nowhere >"$work/printed" 2>&1 && ! grep -q "demo: ok" "$work/printed"'
