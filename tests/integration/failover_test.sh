#!/bin/bash
# kind: cluster
# Two brokers with a Lease of 2 s; whichever leads is killed -9 while imports come, go and renew, 5 times (FAILOVER_KILLS)
# at moments drawn from a seed (FAILOVER_SEED). At the end there is one Secret for each import, and none besides.
set -uo pipefail
. tests/integration/lib.sh
. tests/integration/api_server.sh

kills=${FAILOVER_KILLS-5} imports=${FAILOVER_IMPORTS-100}
RANDOM=${FAILOVER_SEED-7}
lease_seconds=2
connect_clusters
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
# The UIDs of all imports, and the owners of those Secrets that FILTER selects; there are no others in this namespace.
wanted() { k1 get sai -o json | jq -r '.items[].metadata.uid' | sort; }
owners() { k1 get secret -o json | jq -r ".items[] | select($1) | .metadata.ownerReferences[0].uid" | sort; }
one_for_each() { diff <(wanted) <(owners "$1"); }
all_renewed() { [[ $(k1 get sai -o jsonpath='{range .items[*]}{.status.renewRequestedAt}{"\n"}{end}' | sort -u) == "$1" ]]; }

# An import that goes with each kill is made beforehand.
some_imports 1 $((imports + kills)) | k1 apply -f - >/dev/null
killed=0 in_flight=0
server=$(api_server_pid "$MCSA_CLUSTERS_DIR/cluster2")
for ((kill = 1; kill <= kills; kill++)); do
  eventually "a replica leads before kill $kill" 20 is_led
  k1 delete sai "import-$((imports + kill))" --wait=false >/dev/null
  k1 annotate sai --all --overwrite multicluster.admiralty.io/renew-requested-at="kill-$kill" >/dev/null &
  changing=$!
  sleep "0.$((RANDOM % 700 + 200))"
  victim=$(leader_pid)
  # The source holds its answers for a moment, so that what is in flight can be told from what is not.
  kill -STOP "$server"
  sleep 0.05
  requests_in_flight "$victim" "$server" && in_flight=$((in_flight + 1))
  kill -9 "$victim" && killed=$((killed + 1))
  kill -CONT "$server"
  wait "$victim" 2>/dev/null
  wait "$changing"
  start_broker
done
echo "# $killed kills, $in_flight of them with a TokenRequest in flight" >&2
check "as many kills as asked" test "$killed" = "$kills"
check "most of them met a TokenRequest in flight" test $((in_flight * 10)) -ge $((kills * 6))
eventually "each import has one Secret, and there is none besides" 60 one_for_each true
eventually "and in each there is a token" 20 one_for_each .data.token
check "there are as many as were not deleted" test "$(wanted | wc -l)" = "$imports"
eventually "each renewal that was asked for has been done" 30 all_renewed "kill-$kills"
