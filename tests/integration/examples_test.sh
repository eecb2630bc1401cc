#!/bin/bash
# kind: node
# The example images in Jobs that ask for an import as files, by a kubeconfig, in-cluster, or run as the pod's own account.
set -uo pipefail
. tests/integration/lib.sh

version=$(sed -n 's/.*kVersion.. = "\(.*\)".*/\1/p' k8s/core/version.h)
prefix=multicluster.admiralty.io/service-account-import

# job NAME IMAGE ANNOTATIONS [POD_SPEC] [CONTAINER]: a Job of that example, with further fields of pod and container.
job() {
  k1 apply -f - >/dev/null <<YAML
apiVersion: batch/v1
kind: Job
metadata: {name: $1}
spec:
  backoffLimit: 0
  template:
    metadata: {annotations: {$3}}
    spec:
      restartPolicy: Never
      ${4-}
      containers: [{name: client, image: "multicluster-service-account/$2:$version", ${5-}}]
YAML
}
ended() { [[ $(k1 get job "$1" -o jsonpath='{.status.conditions[?(@.status=="True")].type}') == *"$2"* ]]; }
prints() { [[ $(k1 logs "job/$1") == "$2" ]]; }

check "install loads the images" outside tools/clusters install
k1 apply -f k8s/manifests/samples/import.yaml >/dev/null
k2 apply -f k8s/manifests/samples/account.yaml >/dev/null
k2 run hello --image=localhost/pause:1 --restart=Never >/dev/null
sai=cluster2-default-pod-lister
eventually "the import is ready" 20 has_reason $sai TokenIssued
server2=$(status_field $sai server)
asks="$prefix.name: $sai"

job multicluster multicluster-client "$asks"
eventually "multicluster-client ends" 30 ended multicluster Complete
check "it prints cluster2's server, namespace and pods" prints multicluster "$server2"$'\ndefault\nhello'
job generic-import generic-client "$asks"
eventually "generic-client ends with an import" 30 ended generic-import Complete
check "and prints the same" prints generic-import "$server2"$'\ndefault\nhello'
job generic-kubeconfig generic-client "$asks, $prefix.client: kubeconfig" "" "env: [{name: MCSA_IMPORTS_DIRECTORY, value: /none}]"
eventually "generic-client ends with a kubeconfig" 30 ended generic-kubeconfig Complete
check "and prints the same again" prints generic-kubeconfig "$server2"$'\ndefault\nhello'
job generic-in-cluster generic-client "$asks, $prefix.client: in-cluster" "" "env: [{name: MCSA_IMPORTS_DIRECTORY, value: /none}]"
eventually "generic-client ends in-cluster" 30 ended generic-in-cluster Complete
check "and prints the same pods" prints generic-in-cluster "$server2"$'\ndefault\nhello'
k1 create serviceaccount own-lister >/dev/null
k1 create rolebinding own-lister --clusterrole=view --serviceaccount=default:own-lister >/dev/null
job generic-own generic-client "" "serviceAccountName: own-lister"
eventually "generic-client ends with the pod's own account" 30 ended generic-own Complete
check "and prints its own pod" says generic-own- k1 logs job/generic-own
job none multicluster-client ""
eventually "multicluster-client without an import fails" 30 ended none Failed
check "and says what to do" says "annotate the pod with" k1 logs job/none
check "no log holds a token" lacks eyJ k1 logs -l batch.kubernetes.io/job-name --tail=-1
