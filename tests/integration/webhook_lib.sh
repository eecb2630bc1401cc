# Sourced by the webhook's test scripts, after lib.sh: the webhook as a plain process with its own rights, reached by URL.

prefix=multicluster.admiralty.io/service-account-import
directory=/var/run/secrets/admiralty.io/serviceaccountimports
webhook_port=$(free_port)
metrics_port=$(free_port)
webhook_pid=
trap 'stop_webhook; stop_brokers; stop_helpers; rm -rf "$work"' EXIT

# What install.yaml makes for the webhook, without its Deployment; the API server calls the process instead of the Service.
install_webhook() {
  k1 apply -f k8s/manifests/webhook/rbac.yaml -f k8s/manifests/webhook/configuration.yaml -f k8s/manifests/webhook/guard.yaml >/dev/null
  k1 patch mutatingwebhookconfiguration service-account-import-admission-controller --type=json -p "[{\"op\": \"replace\",
    \"path\": \"/webhooks/0/clientConfig\", \"value\": {\"url\": \"https://127.0.0.1:$webhook_port/mutate-pods\"}}]" >/dev/null
  local token
  token=$(k1 -n multicluster-service-account-webhook create token service-account-import-admission-controller --duration=2h)
  kubectl --context cluster1 config view --minify --flatten >"$work/webhook.kubeconfig"
  kubectl --kubeconfig "$work/webhook.kubeconfig" config set-credentials webhook --token="$token" >/dev/null
  kubectl --kubeconfig "$work/webhook.kubeconfig" config set-context --current --user=webhook >/dev/null
}

# start_webhook [FLAG...]; waits until it is ready, for 30 s or $webhook_seconds at most.
start_webhook() {
  mcsa-webhook --kubeconfig="$work/webhook.kubeconfig" --address=127.0.0.1:$webhook_port --metrics-address=127.0.0.1:$metrics_port \
    --name=127.0.0.1 --drain-seconds=0 --sidecar-image=sidecar:test "$@" >/dev/null 2>>"$work/webhook.log" &
  webhook_pid=$!
  local end=$((SECONDS + ${webhook_seconds-30}))
  until webhook_is_ready || ((SECONDS >= end)); do sleep 0.1; done
}
webhook_is_ready() { curl -sf -o /dev/null http://127.0.0.1:$metrics_port/readyz; }

# connect_with_webhook: connected clusters, with a broker and the webhook.
connect_with_webhook() {
  connect_clusters
  install_webhook
  start_broker --ca-propagation=1
  start_webhook
  check "the webhook becomes ready with the CA that the broker made" webhook_is_ready
}

stop_webhook() {
  [[ -z $webhook_pid ]] || { kill "$webhook_pid" 2>/dev/null; wait "$webhook_pid" 2>/dev/null; }
  webhook_pid=
}

# pod ANNOTATIONS [EXTRA_SPEC] [NAMESPACE]: a pod within the restricted pod security, as admission leaves it, as JSON; the
# arguments are JSON fields. Nothing is stored.
pod() {
  k1 -n "${3-default}" create --dry-run=server -o json -f - <<JSON
{"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "pod-", "annotations": {$1}},
 "spec": {"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
  "containers": [{"name": "app", "image": "i",
   "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]${2:+, $2}}}
JSON
}
asks() { echo "\"$prefix.name\": \"$1\""; }

# mounts CONTAINER: of the pod on standard input, the imports that the container sees.
mounts() {
  python3 -c '
import json, sys
spec = json.load(sys.stdin)["spec"]
for c in spec["containers"] + spec.get("initContainers", []):
    if c["name"] == sys.argv[1]:
        print(*sorted(m["mountPath"].rpartition("/")[2] for m in c.get("volumeMounts", []) if m["mountPath"].startswith(sys.argv[2] + "/")))
' "$1" $directory
}

# denied TEXT COMMAND...: is refused, and says so.
denied() { local text=$1 output; shift; output=$("$@" 2>&1) && return 1; echo "$output"; [[ $output == *"$text"* ]]; }
resident_peak() { awk '/VmHWM/ {print $2}' "/proc/$webhook_pid/status"; }
