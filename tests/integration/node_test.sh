#!/bin/bash
# kind: node
# What we ship, on real nodes: the image as two replicas, installed by one apply, and the demo's clusters.
set -uo pipefail
. tests/integration/lib.sh

broker() { k1 -n multicluster-service-account "$@"; }
leader() { broker get lease service-account-import-controller -o jsonpath='{.spec.holderIdentity}' | sed 's/_[0-9]*$//'; }
leads_another() { [[ $(leader) != "$1" && -n $(leader) ]]; }
metrics() { k1 get --raw "/api/v1/namespaces/multicluster-service-account/pods/$(leader):8080/proxy/metrics"; }

check "install puts our parts onto the nodes and connects the clusters" outside tools/clusters install
k2 apply -f k8s/manifests/samples/account.yaml >/dev/null
k1 apply -f k8s/manifests/samples/import.yaml >/dev/null
sai=cluster2-default-pod-lister
eventually "an import becomes ready" 10 has_reason $sai TokenIssued
check "its label finds exactly one Secret" test "$(k1 get secret -l multicluster.admiralty.io/service-account-import.name=$sai -o name | wc -l)" = 1
check "with the six keys" has_keys $sai "ca.crt config config-inline namespace server token"
config_inline $sai >"$work/inline"
check "which lists cluster2's pods" kubectl --kubeconfig "$work/inline" get pods
check "two replicas are ready" test "$(broker get deployment service-account-import-controller -o jsonpath='{.status.readyReplicas}')" = 2
check "the leader's metrics count it" eval 'metrics | grep -E "^mcsa_imports\{ready=\"true\"\} [1-9]"'
check "kubectl get shows cluster, account, reason and end" eval \
  'k1 get sai -A | grep -E "^default +$sai +cluster2 +default +pod-lister +True +TokenIssued +$(date -u +%Y)-[0-9-]+T[0-9:]+Z "'
check "kubectl describe tells what happened" says "Token JTI=" k1 describe sai $sai
check "kubemcsa status finds all well" kubemcsa status --context cluster1

# --- the way between the clusters is cut: packets are dropped
check "cut" tools/clusters cut cluster1 cluster2
import cut-off
eventually "an import meets silence, and says so" 40 has_reason cut-off SourceUnreachable
check "one that has its token keeps it" has_reason $sai TokenIssued
check "heal" tools/clusters heal
eventually "and the import is ready" 30 has_reason cut-off TokenIssued

# --- the leader is gone
first=$(leader)
check "the leader is deleted" broker delete pod "$first" --grace-period=0 --force
k1 -n default patch sai $sai --type=merge -p '{"spec":{"expirationSeconds":900}}' >/dev/null
eventually "another leads within 20 s" 20 leads_another "$first"
k1 create -f - >/dev/null <<YAML
{apiVersion: multicluster.admiralty.io/v1alpha1, kind: ServiceAccountImport, metadata: {name: later, namespace: default},
 spec: {clusterName: cluster2, namespace: default, name: pod-lister}}
YAML
eventually "and reconciles" 20 has_reason later TokenIssued
