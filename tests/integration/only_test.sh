#!/bin/bash
# kind: cluster
# A source that grants the broker a few accounts only (bootstrap --only): all of a namespace, which it then watches, or one
# by its name, about whose token it asks once a minute. Either way it learns of an account that goes or is made anew.
set -uo pipefail
. tests/integration/lib.sh

install_broker
broker_kubeconfig
k1 create namespace team-a >/dev/null
serve_namespace team-a
k2 create namespace team-a >/dev/null
# import_account NAMESPACE NAME: makes that account in cluster2 and an import of that name in cluster1.
import_account() {
  k2 -n "$1" create serviceaccount "$2" >/dev/null
  k1 create -f - >/dev/null <<YAML
{apiVersion: multicluster.admiralty.io/v1alpha1, kind: ServiceAccountImport, metadata: {name: $2, namespace: $1},
 spec: {clusterName: cluster2, namespace: $1, name: $2}}
YAML
}
# keep_config NAMESPACE NAME; subject NAME: whom cluster2 takes the kept one for.
keep_config() { k1 -n "$1" get secret "$(secret_of "$2" "$1")" -o jsonpath='{.data.config-inline}' | base64 -d >"$work/$2"; }
subject() { kubectl --kubeconfig "$work/$1" auth whoami -o jsonpath='{.status.userInfo.username}'; }
has_another_token() { [[ $(status_field "$2" tokenId "$1") != "$3" ]] && has_reason "$2" TokenIssued "$1"; }
lost_its_token() { k1 -n "$1" get secret "$(secret_of "$2" "$1")" -o json | jq -e '.data | has("token") | not'; }
broker2=system:serviceaccount:multicluster-service-account:cluster1

check "bootstrap grants two accounts and a namespace" kubemcsa bootstrap cluster1 cluster2 --only=default/gone,default/replaced,team-a \
  --source-server="$(k2 config view --minify -o jsonpath='{.clusters[0].cluster.server}')"
check "whose accounts the broker may watch" k2 auth can-i watch serviceaccounts -n team-a --as=$broker2
check "and no others" may_not k2 watch serviceaccounts -n default --as=$broker2
start_broker
accounts=("default gone" "default replaced" "team-a leaver" "team-a newcomer")
for account in "${accounts[@]}" "default ungranted"; do import_account $account; done
for account in "${accounts[@]}"; do
  eventually "an import of ${account/ //} is ready" 60 has_reason ${account#* } TokenIssued ${account% *}
  keep_config $account
  check "its token is that account's" says "system:serviceaccount:${account/ /:}" subject ${account#* }
done
eventually "no other account is served" 10 has_reason ungranted TokenRequestForbidden

# --- accounts go, two of them come back as others of their names
replaced=$(status_field replaced tokenId) newcomer=$(status_field newcomer tokenId team-a)
for account in "${accounts[@]}"; do k2 -n ${account% *} delete serviceaccount ${account#* } >/dev/null; done
k2 -n default create serviceaccount replaced >/dev/null
k2 -n team-a create serviceaccount newcomer >/dev/null
eventually "where it watches, an account made anew has a new token at once" 10 has_another_token team-a newcomer "$newcomer"
eventually "and one that went takes its token along" 10 lost_its_token team-a leaver
# A minute, and the 10 s for which the API server remembers that a token was good.
eventually "where it asks, an account made anew has a new token after a minute" 75 has_another_token default replaced "$replaced"
eventually "and one that went takes its token along" 75 lost_its_token default gone
check "the import says so" has_reason gone RemoteServiceAccountNotFound
for account in "${accounts[@]}"; do
  check "the old token of ${account/ //} is refused" says Unauthorized subject ${account#* }
done
for account in "default replaced" "team-a newcomer"; do
  keep_config $account
  check "the new one of ${account/ //} is not" says "system:serviceaccount:${account/ /:}" subject ${account#* }
done
k2 -n default create serviceaccount gone >/dev/null
k2 -n team-a create serviceaccount leaver >/dev/null
eventually "an account that comes back is imported again where it watches" 15 has_reason leaver TokenIssued team-a
eventually "and where it asks" 75 has_reason gone TokenIssued
