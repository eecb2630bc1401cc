# Sourced by the test scripts. A check is a name and a command; the script goes on after a failure.

k1() { kubectl --context cluster1 "$@"; }
k2() { kubectl --context cluster2 "$@"; }

work=$(mktemp -d)
broker_pids=() helper_pids=()
trap 'stop_brokers; stop_helpers; rm -rf "$work"' EXIT

# check NAME COMMAND...: passes if the command succeeds.
check() {
  local name=$1
  shift
  if output=$("$@" 2>&1); then echo "PASS $name"; else echo "FAIL $name: $* said: ${output:0:600}"; fi
}

# eventually NAME SECONDS COMMAND...: passes if the command succeeds within so many seconds.
eventually() {
  local name=$1 end=$((SECONDS + $2))
  shift 2
  until output=$("$@" 2>&1); do
    ((SECONDS < end)) || { echo "FAIL $name: $* said: ${output:0:600}"; return 0; }
    sleep 0.2
  done
  echo "PASS $name"
}

refused() { ! "$@"; }
# outside COMMAND...: in the network of who started the script. That of clusters with nodes leads nowhere else: a build there
# can fetch nothing, and as it does not reach Bazel's server it kills that with whatever it builds.
outside() { nsenter --net="/proc/$PPID/ns/net" -- "$@"; }
# fails_with STATUS TEXT COMMAND...: exits so and says so.
fails_with() {
  local status=$1 text=$2 output
  shift 2
  output=$("$@" 2>&1)
  local got=$?
  echo "status $got: $output"
  [[ $got == "$status" && $output == *"$text"* ]]
}
# lacks TEXT COMMAND...: succeeds and does not say so. "refused says" would also pass when the command fails.
lacks() {
  local text=$1 output status
  shift
  output=$("$@" 2>&1)
  status=$?
  echo "status $status: $output"
  [[ $status == 0 && $output != *"$text"* ]]
}
# may_not KUBECTL VERB RESOURCE [FLAG...]: the API server says no. An error would also be "refused".
may_not() {
  local answer
  answer=$("$1" auth can-i "${@:2}")
  echo "$answer"
  [[ $answer == no* ]]
}
says() { grep -qF -- "$1" <<<"$("${@:2}" 2>&1)"; }

# A port that nothing listens on, below those that the kernel hands out by itself.
free_port() { shuf -i 10000-29999 -n 20 | grep -vxFf <(ss -tlnH | awk '{ sub(/.*:/, "", $4); print $4 }') | head -1; }

# The broker's objects in cluster1, as install.yaml makes them, without the Deployment.
install_broker() {
  local manifests=k8s/manifests
  k1 apply -f $manifests/crd/ >/dev/null
  k1 wait --for=condition=Established crd --all --timeout=30s >/dev/null
  k1 apply -f $manifests/rbac/broker.yaml >/dev/null
}

# serve_namespace NAMESPACE: lets the broker keep Secrets there.
serve_namespace() {
  k1 -n "$1" create rolebinding service-account-import-controller-secrets --clusterrole=service-account-import-controller-secrets \
    --serviceaccount=multicluster-service-account:service-account-import-controller >/dev/null
}

# Writes $work/broker.kubeconfig: cluster1 as the broker's own account, with exactly its rights.
broker_kubeconfig() {
  local token
  token=$(k1 -n multicluster-service-account create token service-account-import-controller --duration=2h)
  kubectl --context cluster1 config view --minify --flatten >"$work/broker.kubeconfig"
  kubectl --kubeconfig "$work/broker.kubeconfig" config set-credentials broker --token="$token" >/dev/null
  kubectl --kubeconfig "$work/broker.kubeconfig" config set-context --current --user=broker >/dev/null
}

# start_broker [FLAG...]: appends to broker_pids; logs in $work/broker-<n>.{log,audit}.
start_broker() {
  local n=${#broker_pids[@]}
  mcsa-broker --kubeconfig="$work/broker.kubeconfig" --lease-duration="${lease_seconds-3}" "$@" 2>"$work/broker-$n.log" >"$work/broker-$n.audit" &
  broker_pids+=($!)
}

# connect_clusters [FLAG...]: all that a broker needs to import cluster2's default/pod-lister into cluster1, with those
# flags of bootstrap.
connect_clusters() {
  install_broker
  k2 apply -f k8s/manifests/samples/account.yaml >/dev/null
  server2=$(k2 config view --minify -o jsonpath='{.clusters[0].cluster.server}')
  kubemcsa bootstrap cluster1 cluster2 --source-server="$server2" "$@" 2>"$work/bootstrap" ||
    { echo "FAIL bootstrap: $(<"$work/bootstrap")"; exit 1; }
  broker_kubeconfig
}

# start_helper COMMAND...: runs a program in the background, in a process group of its own, until the script ends.
start_helper() {
  setsid "$@" &
  helper_pids+=($!)
}
stop_helpers() {
  local pid
  for pid in "${helper_pids[@]}"; do kill -KILL -- "-$pid" 2>/dev/null; wait "$pid" 2>/dev/null; done
  helper_pids=()
}

stop_brokers() {
  local pid
  for pid in "${broker_pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${broker_pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  broker_pids=()
}

# import NAME [NAMESPACE] [SPEC...]: applies an import of cluster2's default/pod-lister with further spec fields.
import() {
  local name=$1 namespace=${2-default}
  k1 apply -f - >/dev/null <<YAML
apiVersion: multicluster.admiralty.io/v1alpha1
kind: ServiceAccountImport
metadata: {name: $name, namespace: $namespace}
spec: {clusterName: cluster2, namespace: default, name: pod-lister${3:+, $3}}
YAML
}

# clone_source NAME SERVER: registers a source that has cluster2's credential and another address.
clone_source() {
  local name=$1 server=$2 own=multicluster-service-account uid secret
  k1 -n $own create -f - >/dev/null <<YAML
apiVersion: multicluster.admiralty.io/v1alpha1
kind: ServiceAccountImport
metadata: {name: $name, namespace: $own, labels: {multicluster.admiralty.io/source-cluster: "true"}}
spec: {clusterName: $name, namespace: $own, name: cluster1}
YAML
  uid=$(k1 -n $own get sai "$name" -o jsonpath='{.metadata.uid}')
  secret=$name-token-$(printf %s "$uid" | sha256sum | cut -c1-10)
  k1 -n $own get secret "$(secret_of cluster2 $own)" -o json |
    jq --arg name "$name" --arg uid "$uid" --arg secret "$secret" --arg server "$(printf %s "$server" | base64 -w0)" '
      .data |= {"ca.crt", namespace, token, server: $server} |
      .metadata = {name: $secret, labels: .metadata.labels, ownerReferences: [
        {apiVersion: "multicluster.admiralty.io/v1alpha1", kind: "ServiceAccountImport", name: $name, uid: $uid}]}' |
    k1 -n $own create -f - >/dev/null
}

condition() { k1 -n "${3-default}" get sai "$1" -o jsonpath="{.status.conditions[?(@.type==\"$2\")].reason}"; }
has_reason() {
  local reason
  reason=$(condition "$1" Ready "${3-default}")
  echo "Ready has reason \"$reason\""
  [[ $reason == "$2" ]]
}
is_revoked() { [[ $(condition "$1" Revoked) == "$2" ]]; }
secret_of() { k1 -n "${2-default}" get sai "$1" -o jsonpath='{.status.secrets[*].name}'; }
secret_keys() { k1 -n "${2-default}" get secret "$(secret_of "$1" "${2-default}")" -o json | python3 -c 'import json,sys; print(*sorted(json.load(sys.stdin).get("data", {})))'; }
has_keys() { [[ $(secret_keys "$1") == "$2" ]]; }
secret_holds() { [[ $(k1 get secret "$1" -o jsonpath="{.data.$2}" | base64 -d) == "$3" ]]; }
status_field() { k1 -n "${3-default}" get sai "$1" -o jsonpath="{.status.$2}"; }
# lives_longer IMPORT NAMESPACE SECONDS
lives_longer() { (($(date -d "$(status_field "$1" expiresAt "$2")" +%s) - $(date +%s) > $3)); }
config_inline() { k1 get secret "$(secret_of "$1")" -o jsonpath='{.data.config-inline}' | base64 -d; }
