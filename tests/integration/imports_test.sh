#!/bin/bash
# kind: cluster
# What happens to an import while the broker works on it: deleted, changed, fought over; names at their limits; a source
# that grants less than asked; and a target whose history is gone.
set -uo pipefail
. tests/integration/lib.sh
. tests/integration/api_server.sh

connect_clusters
source_dir=$MCSA_CLUSTERS_DIR/cluster2
has_event() { says "$2" k1 get events.events.k8s.io -n default -o jsonpath="{range .items[?(@.regarding.name==\"$1\")]}{.reason} {end}"; }
# Whose token the Secret of an import holds.
subject_is() { says "$2" kubectl --kubeconfig <(config_inline "$1") auth whoami -o jsonpath='{.status.userInfo.username}'; }
secrets_of() { k1 -n default get secret -l "multicluster.admiralty.io/service-account-import.name=$1" -o name | wc -l; }
start_broker
start_broker

# --- names
k1 create namespace team-b >/dev/null
serve_namespace team-b
k2 create namespace team-b >/dev/null
k2 -n team-b create serviceaccount other >/dev/null
import twin
k1 apply -f - >/dev/null <<'YAML'
apiVersion: multicluster.admiralty.io/v1alpha1
kind: ServiceAccountImport
metadata: {name: twin, namespace: team-b}
spec: {clusterName: cluster2, namespace: team-b, name: other}
YAML
eventually "an import is ready" 20 has_reason twin TokenIssued
eventually "one of the same name in another namespace too" 40 has_reason twin TokenIssued team-b
check "the first has its own account" subject_is twin system:serviceaccount:default:pod-lister
check "so has the second" says system:serviceaccount:team-b:other kubectl auth whoami -o jsonpath='{.status.userInfo.username}' \
  --kubeconfig <(k1 -n team-b get secret "$(secret_of twin team-b)" -o jsonpath='{.data.config-inline}' | base64 -d)
long=$(printf 'x%.0s' {1..121}).$(printf 'y%.0s' {1..120}).$(printf 'z%.0s' {1..10})
check "a name of 253 characters has that many" test ${#long} = 253
import "$long"
eventually "its import is ready" 20 has_reason "$long" TokenIssued
check "its Secret's name fits" test "$(secret_of "$long" | wc -c)" = 253
check "and works" subject_is "$long" system:serviceaccount:default:pod-lister

# --- a Secret that somebody edits or deletes
secret=$(secret_of twin)
k1 patch secret "$secret" -p '{"stringData":{"token":"edited"}}' >/dev/null
eventually "an edited token is replaced" 10 subject_is twin system:serviceaccount:default:pod-lister
eventually "with an event" 5 has_event twin SecretRestored
k1 delete secret "$secret" >/dev/null
eventually "a deleted Secret is made again" 10 subject_is twin system:serviceaccount:default:pod-lister
eventually "with an event" 5 says "was deleted by somebody" k1 get events.events.k8s.io -n default -o jsonpath='{range .items[?(@.regarding.name=="twin")]}{.note}{"\n"}{end}'

# --- a changed spec
k2 create serviceaccount second >/dev/null
k1 patch sai twin --type=merge -p '{"spec":{"name":"second"}}' >/dev/null
eventually "another account in the spec, another in the token" 10 subject_is twin system:serviceaccount:default:second
check "in one Secret still" test "$(secrets_of twin)" = 1

# --- while a request is in flight
server=$(api_server_pid "$source_dir")
kill -STOP "$server"
import deleted-meanwhile
import changed-meanwhile
leader() { k1 -n multicluster-service-account get lease service-account-import-controller -o jsonpath='{.spec.holderIdentity}' | sed 's/.*_//'; }
eventually "their requests are in flight" 10 requests_in_flight "$(leader)" "$server"
k1 delete sai deleted-meanwhile >/dev/null
k1 patch sai changed-meanwhile --type=merge -p '{"spec":{"name":"second"}}' >/dev/null
kill -CONT "$server"
eventually "an import changed while its request was in flight has what it asks for now" 20 subject_is changed-meanwhile system:serviceaccount:default:second
check "one deleted meanwhile leaves no Secret" test "$(secrets_of deleted-meanwhile)" = 0
import deleted-meanwhile
eventually "made again it is ready" 10 has_reason deleted-meanwhile TokenIssued
check "with one Secret" test "$(secrets_of deleted-meanwhile)" = 1

# --- everybody writes at once
storm() {
  local i
  for i in $(seq 15); do
    k1 annotate sai twin --overwrite example.com/storm="$1-$i"
    k1 patch sai twin --type=merge -p "{\"spec\":{\"expirationSeconds\":$((600 + $1 * 100 + i))}}"
    k1 patch secret "$secret" -p "{\"stringData\":{\"server\":\"https://$1.$i.example\"}}"
    k1 -n multicluster-service-account annotate lease service-account-import-controller --overwrite example.com/storm="$1-$i"
  done >/dev/null 2>&1
}
secret=$(secret_of twin)
for writer in 1 2 3; do storm $writer & storms+=($!); done
wait "${storms[@]}"
settled() { [[ $(status_field twin observedGeneration) == "$(k1 get sai twin -o jsonpath='{.metadata.generation}')" ]]; }
eventually "after a storm of writes the import has its last spec" 20 settled
eventually "and its Secret what it should hold" 10 secret_holds "$secret" server "$server2"
check "a token that works" subject_is twin system:serviceaccount:default:second
check "and a leader" test -n "$(leader)"

# --- a source that grants less than asked
stop_api_server "$source_dir"
start_api_server "$source_dir" --service-account-max-token-expiration=1h
import greedy default "expirationSeconds: 86400"
eventually "an import that asks for a day of a source that grants an hour is ready" 25 has_reason greedy TokenIssued
check "its end is the real one" refused lives_longer greedy default 3600
renews_within_the_hour() { (($(date -d "$(status_field greedy nextRenewalAt)" +%s) - $(date +%s) < 2200)); }
check "and it renews within the hour" renews_within_the_hour

# --- a target that has forgotten (410)
target_dir=$MCSA_CLUSTERS_DIR/cluster1
etcd=$(tr '\0' '\n' <"/proc/$(api_server_pid "$target_dir")/cmdline" | sed -n 's/^--etcd-servers=//p')
compact() { # up to now, by etcd's own JSON gateway
  local revision
  revision=$(curl -sS "$etcd/v3/kv/range" -d '{"key":"YQ=="}' | jq -r .header.revision)
  curl -sS "$etcd/v3/kv/compaction" -d "{\"revision\":\"$revision\",\"physical\":true}" | grep -q revision
}
kill -STOP "${broker_pids[@]}"
stop_api_server "$target_dir"
start_api_server "$target_dir"
k1 delete sai greedy >/dev/null
import unseen
k1 annotate sai --all --overwrite example.com/passed=1 >/dev/null
check "etcd is compacted" compact
stop_api_server "$target_dir"
start_api_server "$target_dir"
restarted=$(date -u +%FT%T)
kill -CONT "${broker_pids[@]}"
eventually "an import made while nobody watched is ready" 30 has_reason unseen TokenIssued
import afterwards
eventually "and the watches go on" 10 has_reason afterwards TokenIssued
# What an API server answers 410 for: a watch from a place that is gone, after which all is listed anew. Watches are in the
# audit log once they have ended.
stop_brokers
listed_anew() {
  jq -r --arg since "$restarted" 'select(.requestReceivedTimestamp > $since and (.requestURI | contains("serviceaccountimports?watch"))) | .requestURI' \
    "$target_dir/audit.log" | awk '/&resourceVersion=/ { resumed = 1 } /sendInitialEvents/ { listed = 1 } END { exit !(resumed && listed) }'
}
eventually "a watch was resumed, refused and begun with a new list" 10 listed_anew
