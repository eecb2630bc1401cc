#!/bin/bash
# kind: cluster
# Each right that the broker's manifest grants is needed: with any one rule or verb taken away, something that it does
# fails. And the API server grants it nothing in namespaces that it does not serve.
set -uo pipefail
. tests/integration/lib.sh
. tests/integration/grpc_lib.sh

controller=system:serviceaccount:multicluster-service-account:service-account-import-controller
connect_clusters

pod app default --import=lister
token good app
import lister

# A whole life of an import of the predecessor, seen from outside. Fails, and says where, if any part of it does.
works() {
  local name=probe-$((runs += 1)) uid secret
  import "$name"
  uid=$(k1 get sai "$name" -o jsonpath='{.metadata.uid}')
  k1 create -f - >/dev/null <<YAML
{apiVersion: v1, kind: Secret, metadata: {name: $name-old, labels: {multicluster.admiralty.io/service-account-import.name: $name},
 ownerReferences: [{apiVersion: multicluster.admiralty.io/v1alpha1, kind: ServiceAccountImport, name: $name, uid: $uid}]}}
YAML
  k1 patch sai "$name" --subresource=status --type=merge -p "{\"status\":{\"secrets\":[{\"name\":\"$name-old\"}]}}" >/dev/null
  k1 -n multicluster-service-account delete lease service-account-import-controller --ignore-not-found >/dev/null
  k1 delete configmap multicluster-service-account-ca --ignore-not-found >/dev/null
  addresses=()
  start_grpc_broker
  local ok=0
  soon has_reason "$name" TokenIssued && secret=$(secret_of "$name") && soon k1 get secret "$secret" &&
    soon refused k1 get secret "$name-old" && soon has_event "$name" TokenIssued &&
    k1 delete secret "$secret" >/dev/null && soon k1 get secret "$secret" &&
    k1 delete saip namespace-sameness >/dev/null && soon lacks_token "$secret" &&
    soon has_ca && k1 delete configmap multicluster-service-account-ca >/dev/null && soon has_ca && soon ends_with FAILED_PRECONDITION good get lister || ok=1
  k1 apply -f k8s/manifests/samples/policy.yaml >/dev/null
  stop_brokers
  return $ok
}
soon() {
  local end=$((SECONDS + 5))
  until "$@" >/dev/null 2>&1; do ((SECONDS < end)) || { echo "not within 5 s: $*"; return 1; }; sleep 0.1; done
}
has_ca() { k1 get configmap multicluster-service-account-ca -o jsonpath='{.data.ca\.crt}' >"$work/ca.crt" && [[ -s $work/ca.crt ]]; }
has_event() { [[ $(k1 get events.events.k8s.io --field-selector=reason="$2" -o jsonpath="{.items[?(@.regarding.name==\"$1\")].reason}") ]]; }
lacks_token() { [[ -z $(k1 get secret "$1" -o jsonpath='{.data.token}') ]]; }
runs=0

check "with the rights of the manifest all works" works

# Every (role, rule, verb), one at a time; but list of what is only watched, which only API servers before 1.32 ask for, and
# get of pods, which is for one that calls before the watch shows it.
mapfile -t rules < <(k1 get clusterrole service-account-import-controller service-account-import-controller-secrets -o json |
  python3 -c '
import json, sys
for role in json.load(sys.stdin)["items"]:
    for i, rule in enumerate(role["rules"]):
        for j, verb in enumerate(rule["verbs"]):
            if (verb != "list" or rule["resources"] == ["secrets"]) and (verb, rule["resources"]) != ("get", ["pods"]):
                print(role["metadata"]["name"], i, j, verb, ",".join(rule["resources"]))')
check "there are rules to try" test "${#rules[@]}" -ge 10
for rule in "${rules[@]}"; do
  read -r role i j verb resources <<<"$rule"
  k1 get clusterrole "$role" -o json >"$work/role"
  k1 patch clusterrole "$role" --type=json -p "[{\"op\":\"remove\",\"path\":\"/rules/$i/verbs/$j\"}]" >/dev/null 2>&1 ||
    k1 patch clusterrole "$role" --type=json -p "[{\"op\":\"remove\",\"path\":\"/rules/$i\"}]" >/dev/null
  check "without $verb on $resources it fails" refused works
  k1 apply -f "$work/role" --server-side --force-conflicts >/dev/null 2>&1 || k1 replace -f "$work/role" --force >/dev/null
done

for verb in get list create delete; do
  check "no $verb of Secrets in another namespace" refused k1 auth can-i "$verb" secrets -n kube-system --as="$controller" -q
done
check "the API answers 403 there" says "is forbidden" kubectl --kubeconfig "$work/broker.kubeconfig" -n kube-system get secrets
