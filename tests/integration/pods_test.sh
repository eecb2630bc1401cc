#!/bin/bash
# kind: node
# Annotated pods on real nodes: the predecessor's story with its own manifests, import and Job in one apply, pods of every user.
set -uo pipefail
. tests/integration/lib.sh
. tests/integration/pods_lib.sh

# --- the predecessor's README: its commands, and its manifests but for the image
check "install and bootstrap" outside tools/clusters install
k2 create serviceaccount pod-lister >/dev/null
k2 create role pod-lister --verb=list --resource=pods >/dev/null
k2 create rolebinding pod-lister --role=pod-lister --serviceaccount=default:pod-lister >/dev/null
k2 run nginx --image localhost/pause:1 >/dev/null
k1 label namespace default multicluster-service-account=enabled >/dev/null
check "its manifests are taken" k1 create -f <(sed "s|IMAGE|$client|" tests/testdata/predecessor/readme-cluster1.yaml)
eventually "its Job completes" 60 completed multicluster-client
check "the log ends with cluster2's pod" test "$(k1 logs job/multicluster-client | tail -1)" = nginx
config() { k1 get secret -l $prefix.name=$sai -o "jsonpath={.items[0].data.config}" | base64 -d; }
check "the Secret is found by the label, with a kubeconfig" says $sai config

# --- import and Job in one apply, the Job first, and no broker that could be faster than the Job's pod
scale_broker() { k1 -n multicluster-service-account scale deployment service-account-import-controller --replicas="$1" >/dev/null; }
scale_broker 0
check "the brokers have ended" k1 -n multicluster-service-account wait --for=delete pod -l app=service-account-import-controller --timeout=60s
{ import=one-apply job one-apply && echo --- && sed "s/^  name: $sai/  name: one-apply/" k8s/manifests/samples/import.yaml; } >"$work/one-apply.yaml"
check "import and Job are applied at once" k1 apply -f "$work/one-apply.yaml"
hears_why() { hears one-apply "there is no ServiceAccountImport one-apply" || hears one-apply "import one-apply is not ready"; }
eventually "the Job's pod is refused, and told why" 10 hears_why
scale_broker 2
eventually "it is tried again and completes" 90 completed one-apply

# --- every user can read the files
users=("root:runAsUser: 0" "thousand:runAsUser: 1000" "nobody:runAsUser: 65532" "group:runAsUser: 1000, fsGroup: 2000")
for user in "${users[@]}"; do
  job "files-${user%%:*}" "" "${user#*:}"
  echo ---
  job "sidecar-${user%%:*}" "$prefix.sidecar: enabled" "${user#*:}"
  echo ---
done | k1 apply -f - >/dev/null
for user in "${users[@]}"; do
  for form in files sidecar; do
    eventually "${user#*:}, ${form}: reads its files" 60 completed "$form-${user%%:*}"
  done
done

# --- init containers need their files as well
init() { job "init-$1" "${2-}" | sed "s|^      containers:|      initContainers: [{name: first, image: \"$client\"}]\n&|"; }
{ init files && echo --- && init sidecar "$prefix.sidecar: enabled"; } | k1 apply -f - >/dev/null
for form in files sidecar; do
  eventually "an init container, $form: reads its files" 60 completed "init-$form"
  check "and lists cluster2's pods" test "$(k1 logs "job/init-$form" -c first | tail -1)" = nginx
done
