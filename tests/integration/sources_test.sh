#!/bin/bash
# kind: cluster
# A third source cluster is added, silent, down, moved, given another certificate and removed, while two brokers run on:
# the same two processes from its first to its last day.
set -uo pipefail
. tests/integration/lib.sh
. tests/integration/api_server.sh

third=$work/others/cluster3
trap 'MCSA_CLUSTERS_DIR=$work/others tools/clusters down 2>/dev/null; stop_brokers; stop_helpers; rm -rf "$work"' EXIT
MCSA_CLUSTERS_DIR=$work/others tools/clusters up --no-nodes cluster3 >/dev/null || { echo "FAIL cluster3 did not start"; exit 1; }
export KUBECONFIG=$KUBECONFIG:$third/admin.kubeconfig
k3() { kubectl --context cluster3 "$@"; }
# The address as cluster3's API server has it now, in its admin's kubeconfig too.
server3() {
  local server
  server=https://127.0.0.1:$(api_server_port "$third")
  kubectl --kubeconfig "$third/admin.kubeconfig" config set-cluster cluster3 --server="$server" >/dev/null
  echo "$server"
}
bootstrap3() { kubemcsa bootstrap cluster1 cluster3 --source-server="$(server3)" "$@"; }
import3() {
  k1 apply -f - >/dev/null <<YAML
apiVersion: multicluster.admiralty.io/v1alpha1
kind: ServiceAccountImport
metadata: {name: $1, namespace: default}
spec: {clusterName: cluster3, namespace: default, name: pod-lister}
YAML
}
message_has() { says "$2" k1 get sai "$1" -o jsonpath='{.status.conditions[?(@.type=="Ready")].message}'; }
lists_pods_of_3() { config_inline "$1" >"$work/inline" && kubectl --kubeconfig "$work/inline" get pods; }
metrics_port() { sed -n 's/.*"metricsPort":"\([0-9]*\)".*/\1/p' "$work/broker-0.log"; }
endpoint() { curl -sS --max-time 5 "http://127.0.0.1:$(metrics_port)/$1"; }
answers_ok() { [[ $(endpoint "$1") == ok ]]; }
all_run() { local pid; for pid; do kill -0 "$pid" || return; done; } # kill succeeds if any of several does
# What kubemcsa status tells of cluster3 as a source.
status3() { kubemcsa status --context cluster1 -o json | jq -c '.[] | select(.kind == "source" and .cluster == "cluster3") | [.ready, .reason]'; }
source_is() { says "[$1,\"$2\"]" status3; }
source_gauges() { endpoint metrics | grep '^mcsa_source_'; } # counters stay
reachable() { [[ $(endpoint metrics | grep '^mcsa_source_reachable{cluster="cluster3"}') == *" $1" ]]; }

connect_clusters
# --- registered, but down when the brokers start
bootstrap3 2>/dev/null
k3 apply -f k8s/manifests/samples/account.yaml >/dev/null
stop_api_server "$third"
start_broker --metrics-address=127.0.0.1:0
eventually "the first broker leads" 10 grep -q '"this replica leads"' "$work/broker-0.log"
start_broker
pids=${broker_pids[*]}
eventually "/readyz answers ok though a source is down" 10 answers_ok readyz
check "/healthz too" answers_ok healthz
import lister
eventually "an import of a living source is ready" 10 has_reason lister TokenIssued
import3 third
eventually "one of the source that is down says so" 15 has_reason third SourceUnreachable
check "and where it was sought" message_has third "127.0.0.1:"
eventually "/metrics too" 5 reachable 0
eventually "and so does the source itself" 15 source_is false SourceUnreachable
check "kubemcsa status exits with 1 and says what to do" fails_with 1 "SourceUnreachable: Cluster cluster3 at https://127.0.0.1:" \
  kubemcsa status --context cluster1 -n multicluster-service-account
start_api_server "$third"
eventually "the source is back, and the import ready" 20 has_reason third TokenIssued
check "its Secret is good" lists_pods_of_3 third
eventually "/metrics says that it answers" 5 reachable 1
eventually "and the source that it is ready" 5 source_is true TokenIssued

# --- silent: it takes what it is sent and never answers
server_pid=$(api_server_pid "$third")
kill -STOP "$server_pid"
import3 unheard
import beside
eventually "beside a silent source an import of another is ready" 3 has_reason beside TokenIssued
eventually "one of the silent source says so in the end" 30 has_reason unheard SourceUnreachable
check "an import that has its token keeps it" has_reason third TokenIssued
eventually "the source is told to be out of reach" 20 source_is false SourceUnreachable
check "its credential stays" says token secret_keys cluster3 multicluster-service-account
kill -CONT "$server_pid"
eventually "the silence ends, and the import is ready" 20 has_reason unheard TokenIssued
eventually "and the source" 5 source_is true TokenIssued

# --- at another address
old_server=$(server3)
stop_api_server "$third"
import3 moved
eventually "a source that is gone is missed" 15 has_reason moved SourceUnreachable
start_api_server "$third" --secure-port="$(free_port)"
check "it came back elsewhere" test "$(server3)" != "$old_server"
check "bootstrap tells the broker where" bootstrap3
eventually "the import that waited is ready" 10 has_reason moved TokenIssued
eventually "the one from before has the new address" 10 secret_holds "$(secret_of third)" server "$(server3)"
check "and works there" lists_pods_of_3 third

# --- with another certificate
stop_api_server "$third"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=other -keyout "$work/other.key" \
  -out "$work/other.crt" -addext "subjectAltName=IP:127.0.0.1" 2>/dev/null
start_api_server "$third" --secure-port="${old_server##*:}" --tls-cert-file="$work/other.crt" --tls-private-key-file="$work/other.key"
kubectl --kubeconfig "$third/admin.kubeconfig" config set-cluster cluster3 --certificate-authority="$work/other.crt" --embed-certs >/dev/null
k1 -n multicluster-service-account get secret "$(secret_of cluster3 multicluster-service-account)" -o json |
  jq --arg server "$(server3 | tr -d '\n' | base64 -w0)" '{apiVersion, kind, metadata: {name: .metadata.name, namespace: .metadata.namespace}, data: {server: $server}}' |
  k1 apply --server-side --force-conflicts -f - >/dev/null 2>&1
import3 distrusted
eventually "a certificate of another CA is not trusted" 15 message_has distrusted "not signed by the CA we know"
check "bootstrap tells the broker of the CA" bootstrap3 --source-ca="$work/other.crt"
eventually "the import that waited is ready" 15 has_reason distrusted TokenIssued
eventually "the one from before has the new CA" 10 secret_holds "$(secret_of third)" 'ca\.crt' "$(<"$work/other.crt")"

# --- a credential Secret that somebody turned against the broker
own_secret=$(secret_of cluster3 multicluster-service-account)
# hostile NAME REASON CLUSTER USER: puts such a kubeconfig into it.
hostile() {
  local name=$1 reason=$2 config
  config=$(printf '{"clusters":[{"name":"x","cluster":{"server":"https://127.0.0.1:1"%s}}],"users":[{"name":"x","user":{%s}}],"contexts":[{"name":"x","context":{"cluster":"x","user":"x"}}]}' "$3" "$4" | base64 -w0)
  k1 -n multicluster-service-account patch secret "$own_secret" -p "{\"data\":{\"config-inline\":\"$config\"}}" >/dev/null
  import3 "hostile-$name"
  eventually "its $name is refused" 10 message_has "hostile-$name" "$reason"
}
hostile program "runs an exec plugin" "" '"exec":{"command":"touch","args":["'"$work/ran"'"]}'
hostile token-file "names a file" "" '"tokenFile":"/etc/shadow"'
hostile ca-file "names a file" ',"certificate-authority":"/etc/shadow"' '"token":"x"'
hostile insecurity "turns TLS verification off" ',"insecure-skip-tls-verify":true' '"token":"x"'
hostile proxy "names a proxy" ',"proxy-url":"http://127.0.0.1:1"' '"token":"x"'
hostile nonsense "is refused" ',{' ''
check "no program ran" refused test -e "$work/ran"
check "imports that have their token keep it" has_reason third TokenIssued
check "bootstrap repairs it" bootstrap3
eventually "the import that waited is ready" 10 has_reason hostile-program TokenIssued

# --- registered twice: the older one serves on, and is followed by the newer one when it goes
own=multicluster-service-account
k1 -n $own create -f - >/dev/null <<YAML
apiVersion: multicluster.admiralty.io/v1alpha1
kind: ServiceAccountImport
metadata: {name: twin, namespace: $own, labels: {multicluster.admiralty.io/source-cluster: "true"}}
spec: {clusterName: cluster3, namespace: $own, name: cluster1}
YAML
eventually "a second registration is told of the first" 10 has_reason twin DuplicateSource $own
import3 twice
eventually "the first serves on" 10 has_reason twice TokenIssued
first=$(k1 -n $own get secret "$own_secret" -o json | jq '{apiVersion, kind, data, metadata: {name: "twin", namespace: .metadata.namespace}}')
k1 create -f - <<<"$first" >/dev/null
k1 -n $own delete sai cluster3 >/dev/null
import3 succeeded
eventually "when the first goes, the second follows" 15 has_reason succeeded TokenIssued
eventually "and renews itself" 10 has_reason twin TokenIssued $own
k1 -n $own delete sai twin >/dev/null
k1 -n $own delete secret twin >/dev/null
check "bootstrap registers it again" bootstrap3

# --- removed
check "unbootstrap" kubemcsa unbootstrap cluster1 cluster3
import3 orphan
eventually "a new import is told the command" 10 message_has orphan "kubemcsa bootstrap"
eventually "its gauges are gone" 5 lacks cluster3 source_gauges

# --- added, for brokers that have been running for long
check "bootstrap adds it" bootstrap3
eventually "the import that waited is ready" 20 has_reason orphan TokenIssued
check "its Secret is good" lists_pods_of_3 orphan
check "the brokers are the same two processes" all_run $pids
