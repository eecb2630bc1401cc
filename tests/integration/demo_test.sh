#!/bin/bash
# kind: cluster
# tools/demo on clusters of its user: it tells its story, ends with "demo: ok", and leaves nothing of it in them, and all
# that was there.
set -uo pipefail
. tests/integration/lib.sh

objects() {
  local context
  for context in cluster1 cluster2; do
    kubectl --context $context get namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,validatingadmissionpolicies -o name
  done | sort
}
told() { grep -qF -- "$1" "$work/told"; }
demo_refuses() { fails_with 1 "$1" tools/demo --contexts cluster1,cluster2; }
# A context of the user that he did not name, whose use would be seen.
k2 create serviceaccount third >/dev/null
kubectl config view --flatten >"$work/kubeconfig"
export KUBECONFIG=$work/kubeconfig
kubectl config set-credentials third --token="$(k2 create token third)" >/dev/null
kubectl config set-context third --cluster=cluster2 --user=third >/dev/null
third_was_used() { grep -q '"username":"system:serviceaccount:default:third"' "$MCSA_CLUSTERS_DIR/cluster2/audit.log"; }
# As where another target has cluster1 for a source.
k1 create namespace multicluster-service-account >/dev/null

objects >"$work/before"
check "the demo succeeds" eval 'tools/demo --contexts cluster1,cluster2 >"$work/printed" 2>"$work/told"'
check "its last line says so" test "$(tail -1 "$work/printed")" = "demo: ok"
check "it shows the imported account's pods" grep -qE '^hello +[01]/1 ' "$work/told"
check "that the token was renewed" told "pod-lister: token JTI="
check "and refused in the end" told "the token is refused"
check "it prints no token" refused grep -q 'ey[A-Za-z0-9_-]*\.ey' "$work/told" "$work/printed"
objects >"$work/after"
check "what it made is gone" diff "$work/before" "$work/after"
check "a context that was not named is not used" refused third_was_used
kubectl --context third get pods >/dev/null 2>&1
check "which would be seen" third_was_used
check "nor is anything left in a namespace of before" lacks service-account-import \
  k1 -n multicluster-service-account get leases,serviceaccounts,roles,rolebindings -o name

# --- what it would not find again in the end
k2 create namespace mcsa-demo >/dev/null
objects >"$work/before"
check "a namespace that is there already is told" demo_refuses "cluster2 has a namespace mcsa-demo already"
objects >"$work/after"
check "and stays, and nothing else is made" diff "$work/before" "$work/after"
k2 delete namespace mcsa-demo >/dev/null
k1 create -f - >/dev/null <<'YAML'
{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: service-account-import-controller, namespace: multicluster-service-account},
 spec: {holderIdentity: theirs}}
YAML
check "a broker that leads there too" demo_refuses "a broker runs in cluster1 already (theirs)"
check "a context that is not there is an error" eval '! tools/demo --contexts cluster1,nowhere >"$work/printed" 2>&1 && ! grep -q "demo: ok" "$work/printed"'
