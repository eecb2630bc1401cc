# Sourced by the test scripts. A check is a name and a command; the script goes on after a failure.

k1() { kubectl --context cluster1 "$@"; }
k2() { kubectl --context cluster2 "$@"; }

work=$(mktemp -d)
broker_pids=()
trap 'stop_brokers; rm -rf "$work"' EXIT

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
says() { grep -qF -- "$1" <<<"$("${@:2}" 2>&1)"; }

# The broker's objects in cluster1, as install.yaml makes them, without the Deployment.
install_broker() {
  local manifests=k8s/manifests
  k1 apply -f $manifests/crd/ >/dev/null
  k1 wait --for=condition=Established crd --all --timeout=30s >/dev/null
  k1 apply -f $manifests/rbac/broker.yaml >/dev/null
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

condition() { k1 -n "${3-default}" get sai "$1" -o jsonpath="{.status.conditions[?(@.type==\"$2\")].reason}"; }
has_reason() { [[ $(condition "$1" Ready "${3-default}") == "$2" ]]; }
is_revoked() { [[ $(condition "$1" Revoked) == "$2" ]]; }
secret_of() { k1 -n "${2-default}" get sai "$1" -o jsonpath='{.status.secrets[*].name}'; }
secret_keys() { k1 -n "${2-default}" get secret "$(secret_of "$1" "${2-default}")" -o json | python3 -c 'import json,sys; print(*sorted(json.load(sys.stdin).get("data", {})))'; }
has_keys() { [[ $(secret_keys "$1") == "$2" ]]; }
secret_holds() { [[ $(k1 get secret "$1" -o jsonpath="{.data.$2}" | base64 -d) == "$3" ]]; }
status_field() { k1 -n "${3-default}" get sai "$1" -o jsonpath="{.status.$2}"; }
# lives_longer IMPORT NAMESPACE SECONDS
lives_longer() { (($(date -d "$(status_field "$1" expiresAt "$2")" +%s) - $(date +%s) > $3)); }
config_inline() { k1 get secret "$(secret_of "$1")" -o jsonpath='{.data.config-inline}' | base64 -d; }
