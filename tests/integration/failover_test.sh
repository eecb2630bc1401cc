#!/bin/bash
# kind: cluster
# Two brokers with a Lease of 2 s; whichever leads is killed -9 while imports come and go, 5 times (FAILOVER_KILLS) at
# moments drawn from a seed (FAILOVER_SEED). At the end there is one Secret for each import, and none besides.
set -uo pipefail
. tests/integration/lib.sh

kills=${FAILOVER_KILLS-5} imports=${FAILOVER_IMPORTS-100}
RANDOM=${FAILOVER_SEED-7}
lease_seconds=2
install_broker
k2 apply -f k8s/manifests/samples/account.yaml >/dev/null
server2=$(k2 config view --minify -o jsonpath='{.clusters[0].cluster.server}')
kubemcsa bootstrap cluster1 cluster2 --source-server="$server2" 2>/dev/null
broker_kubeconfig
start_broker
start_broker

some_imports() {
  local i
  for i in $(seq "$1" "$2"); do
    echo "---
apiVersion: multicluster.admiralty.io/v1alpha1
kind: ServiceAccountImport
metadata: {name: import-$i, namespace: default}
spec: {clusterName: cluster2, namespace: default, name: pod-lister}"
  done
}
leader_pid() { k1 -n multicluster-service-account get lease service-account-import-controller -o jsonpath='{.spec.holderIdentity}' | sed 's/.*_//'; }
is_led() { local pid; pid=$(leader_pid) && [[ -n $pid ]] && kill -0 "$pid"; }
# Of each import its UID and of each Secret its owner's, with a token in it.
wanted() { k1 get sai -o json | python3 -c 'import json,sys; print(*sorted(i["metadata"]["uid"] for i in json.load(sys.stdin)["items"]), sep="\n")'; }
held() { k1 get secret -l app.kubernetes.io/managed-by=multicluster-service-account -o json | python3 -c '
import json, sys
print(*sorted(s["metadata"]["ownerReferences"][0]["uid"] for s in json.load(sys.stdin)["items"] if "token" in s["data"]), sep="\n")'; }
same_sets() { diff <(wanted) <(held); }

part=$((imports / kills)) killed=0 in_flight=0
for ((kill = 0; kill < kills; kill++)); do
  eventually "a replica leads before kill $((kill + 1))" 20 is_led
  some_imports $((kill * part + 1)) $((kill * part + part)) | k1 apply -f - >/dev/null &
  applying=$!
  ((kill == 0)) || k1 delete sai "import-$((kill * part - RANDOM % part))" --wait=false >/dev/null
  sleep "0.$((RANDOM % 1000 + 1000))"
  victim=$(leader_pid)
  kill -9 "$victim" && killed=$((killed + 1))
  wait "$victim" 2>/dev/null
  # What was asked of the source and not yet written as a Secret when it died.
  same_sets >/dev/null || in_flight=$((in_flight + 1))
  wait "$applying"
  start_broker
done
echo "# $killed kills, $in_flight of them with imports under way" >&2
check "as many kills as asked" test "$killed" = "$kills"
check "most of them met imports under way" test $((in_flight * 10)) -ge $((kills * 6))
eventually "each import has one Secret, and there is none besides" 60 same_sets
check "there are as many as were not deleted" test "$(wanted | wc -l)" = $((part * kills - kills + 1))
