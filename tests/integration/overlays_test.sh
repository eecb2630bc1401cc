#!/bin/bash
# kind: cluster
# The overlays' rights, with a broker that has exactly those: without Secrets, and with those of all namespaces.
set -uo pipefail
. tests/integration/lib.sh

controller=system:serviceaccount:multicluster-service-account:service-account-import-controller
apply_overlay() { k1 apply -k "k8s/overlays/$1" && k1 wait --for=condition=Established crd --all --timeout=30s; }
for context in cluster1 cluster2; do kubectl --context $context create namespace team-a >/dev/null; done
k2 -n team-a create serviceaccount pod-lister >/dev/null
# import_of_team_a NAME DELIVERY
import_of_team_a() {
  k1 create -f - >/dev/null <<YAML
{apiVersion: multicluster.admiralty.io/v1alpha1, kind: ServiceAccountImport, metadata: {name: $1, namespace: team-a},
 spec: {clusterName: cluster2, namespace: team-a, name: pod-lister, delivery: $2}}
YAML
}

check "broker-delivery applies" apply_overlay broker-delivery
check "the broker reads no Secret of default" may_not k1 get secrets -n default --as="$controller"
check "but those of its own namespace" k1 auth can-i get secrets -n multicluster-service-account --as="$controller"
check "bootstrap" kubemcsa bootstrap cluster1 cluster2 --source-server="$(k2 config view --minify -o jsonpath='{.clusters[0].cluster.server}')"
broker_kubeconfig
start_broker
import_of_team_a on-demand Broker
eventually "an import for the gRPC API alone is served" 20 has_reason on-demand IssuedOnDemand team-a
import_of_team_a at-rest Secret
eventually "one that asks for a Secret is told" 10 has_reason at-rest NamespaceNotServed team-a
eventually "the broker renewed its own credential" 20 lives_longer cluster2 multicluster-service-account $((29 * 86400))

check "cluster-wide applies over it" apply_overlay cluster-wide
check "a namespace without a RoleBinding" test -z "$(k1 -n team-a get rolebindings -o name)"
eventually "is served" 60 has_reason at-rest TokenIssued team-a
check "with a Secret that works" says system:serviceaccount:team-a:pod-lister kubectl auth whoami \
  --kubeconfig <(k1 -n team-a get secret "$(secret_of at-rest team-a)" -o jsonpath='{.data.config-inline}' | base64 -d)
