#!/bin/bash
# kind: cluster
# Each right that the broker's manifest grants is needed: with any one rule or verb taken away, something that it does
# fails. And the API server grants it nothing in namespaces that it does not serve.
set -uo pipefail
. tests/integration/lib.sh

controller=system:serviceaccount:multicluster-service-account:service-account-import-controller
install_broker
k2 apply -f k8s/manifests/samples/account.yaml >/dev/null
server2=$(k2 config view --minify -o jsonpath='{.clusters[0].cluster.server}')
kubemcsa bootstrap cluster1 cluster2 --source-server="$server2" 2>/dev/null
broker_kubeconfig

# A whole life of an import, seen from outside. Fails if any part of it does.
works() {
  start_broker
  k1 delete sai probe --ignore-not-found >/dev/null
  k1 -n multicluster-service-account delete lease service-account-import-controller --ignore-not-found >/dev/null
  import probe
  local ok=0 secret
  soon has_reason probe TokenIssued && secret=$(secret_of probe) && soon k1 get secret "$secret" &&
    soon has_event probe TokenIssued &&
    k1 annotate sai probe multicluster.admiralty.io/renew-requested-at="$(date +%s)" >/dev/null && soon has_event probe TokenRenewed &&
    k1 delete secret "$secret" >/dev/null && soon k1 get secret "$secret" &&
    k1 delete saip namespace-sameness >/dev/null && soon lacks_token "$secret" || ok=1
  k1 apply -f k8s/manifests/samples/policy.yaml >/dev/null
  stop_brokers
  return $ok
}
soon() {
  local end=$((SECONDS + ${limit-8}))
  until "$@" >/dev/null 2>&1; do ((SECONDS < end)) || { echo "not within time: $*"; return 1; }; sleep 0.1; done
}
has_event() { k1 get events -o jsonpath="{.items[?(@.involvedObject.name==\"$1\")].reason}" | grep -q "$2"; }
lacks_token() { [[ -z $(k1 get secret "$1" -o jsonpath='{.data.token}') ]]; }

check "with the rights of the manifest all works" works

# Every (role, rule, verb), one at a time. A list verb and a watch verb go together only in the test's time: each has a line.
mapfile -t rules < <(k1 get clusterrole service-account-import-controller service-account-import-controller-secrets -o json |
  python3 -c '
import json, sys
for role in json.load(sys.stdin)["items"]:
    for i, rule in enumerate(role["rules"]):
        for j, verb in enumerate(rule["verbs"]):
            print(role["metadata"]["name"], i, j, verb, ",".join(rule["resources"]))')
check "there are rules to try" test "${#rules[@]}" -gt 10
for rule in "${rules[@]}"; do
  read -r role i j verb resources <<<"$rule"
  k1 get clusterrole "$role" -o json >"$work/role"
  k1 patch clusterrole "$role" --type=json -p "[{\"op\":\"remove\",\"path\":\"/rules/$i/verbs/$j\"}]" >/dev/null 2>&1 ||
    k1 patch clusterrole "$role" --type=json -p "[{\"op\":\"remove\",\"path\":\"/rules/$i\"}]" >/dev/null
  limit=3 check "without $verb on $resources it fails" refused works
  k1 apply -f "$work/role" --server-side --force-conflicts >/dev/null 2>&1 || k1 replace -f "$work/role" --force >/dev/null
done

for verb in get list create delete; do
  check "no $verb of Secrets in another namespace" refused k1 auth can-i "$verb" secrets -n kube-system --as="$controller" -q
done
check "the API answers 403 there" says "is forbidden" kubectl --kubeconfig "$work/broker.kubeconfig" -n kube-system get secrets
