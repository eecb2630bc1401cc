#!/bin/bash
# kind: node
# Pods with the sidecar on real nodes, with webhook and brokers as installed. What the sidecar does as a process:
# sidecar_test.sh; what the broker answers: grpc_test.sh.
set -uo pipefail
. tests/integration/lib.sh
. tests/integration/grpc_lib.sh

sai=cluster2-default-pod-lister
annotation=multicluster.admiralty.io/service-account-import
directory=/var/run/multicluster-service-account
mount=/var/run/secrets/admiralty.io/serviceaccountimports/$sai
broker() { k1 -n multicluster-service-account "$@"; }

# pod NAME COMMAND [POD_SPEC] [CLIENT]: one with the sidecar, whose app is a shell command.
pod() {
  k1 apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $1, annotations: {$annotation.name: $sai, $annotation.sidecar: enabled, $annotation.client: ${4-files}}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  ${3-}
  containers:
    - name: app
      image: localhost/sidecar-pods-test:1
      command: $(jq -cn --arg command "$2" '["sh", "-c", $command]')
      stdin: true
      securityContext: {capabilities: {drop: [ALL]}, allowPrivilegeEscalation: false}
YAML
}
app_says() { says "$2" k1 logs "$1" -c app; }
sidecar_log() { k1 logs "$1" -c mcsa-sidecar; }
token_id() { status_field $sai tokenId; }
uid() { "${@:2}" get pod "$1" -o jsonpath='{.metadata.uid}'; }
# process POD_UID COMMAND_LINE: the pid, as this machine counts, of the pod's process that starts so.
process() {
  local pid
  for pid in $(pgrep -f -- "^$2"); do
    if grep -qs -- "$1" "/proc/$pid/cgroup" "/proc/$pid/mountinfo"; then echo "$pid" && return; fi
  done
  return 1
}
# later FROM TO: milliseconds between two times of the day as logs have them.
later() { echo $(($(date -d "1970-01-01 $2 UTC" +%s%3N) - $(date -d "1970-01-01 $1 UTC" +%s%3N))); }
time_of() { grep -oE '[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]+' | tail -1; }
took() { echo "# $1: $2 ms"; }

check "install" tools/clusters install
bazel build --config=release //examples/watch-client 2>&1 | grep -E '^ERROR|error:' >&2
busybox=$(command -v busybox)
check "an app's image is made" tools/oci_layout.py "$work/app.tar" --name localhost/sidecar-pods-test:1 --entrypoint /bin/sh --env PATH=/bin --level 1 \
  "$busybox:755=/bin/sh" "$busybox:755=/bin/sleep" "$(readlink -f "$(command -v kubectl)"):755=/bin/kubectl" .bazel/bin/examples/watch-client/watch-client:755=/bin/watch-client
check "and loaded" tools/clusters load "$work/app.tar"
k2 apply -f k8s/manifests/samples/account.yaml >/dev/null
k2 run hello --image=localhost/pause:1 --restart=Never >/dev/null
k1 apply -f k8s/manifests/samples/import.yaml >/dev/null
eventually "an import is ready" 30 has_reason $sai TokenIssued

# --- a Job
k1 create --dry-run=client -o json -f k8s/manifests/samples/job.yaml | jq ".spec.template.metadata.annotations[\"$annotation.sidecar\"] = \"enabled\"" | k1 apply -f - >/dev/null
check "a Job with the sidecar completes" k1 wait --for=condition=Complete job/multicluster-client --timeout=30s
check "and has listed cluster2's pods" says hello k1 logs job/multicluster-client
check "its sidecar has ended, and well" test "$(k1 get pod -l job-name=multicluster-client -o jsonpath='{.items[0].status.initContainerStatuses[0].state.terminated.exitCode}')" = 0

# --- an app with an open watch
pod watcher "watch-client"
check "a pod is ready" k1 wait --for=condition=Ready pod/watcher --timeout=30s
watcher=$(uid watcher k1)
first=$(token_id)
eventually "its app has the token" 5 app_says watcher "$first"
eventually "its sidecar has a stream" 10 says "the stream to the broker is open" sidecar_log watcher
check "a token is renewed" kubemcsa renew $sai --context cluster1 -n default
second=$(token_id)
check "it is another" differs "$first" token_id
eventually "the app is told" 5 app_says watcher "$second"
check "and was never restarted" test "$(k1 get pod watcher -o jsonpath='{.status.containerStatuses[0].restartCount}{.status.initContainerStatuses[0].restartCount}')" = 00
issued=$(broker logs -l app=service-account-import-controller --tail=-1 | grep -F '"audit":"TokenIssued"' | grep -F "$second" | time_of)
told=$(k1 logs watcher -c app | grep -F "$second" | head -1 | time_of)
took "from its issue to the app's line" "$(later "$issued" "$told")"
check "within a second on a busy machine" test "$(later "$issued" "$told")" -lt 1000

# --- a client made of the proto alone
sidecar=$(process "$watcher" "/mcsa-sidecar run")
socket_client() { /usr/bin/python3 tests/integration/grpc_client.py "unix:/proc/$sidecar/root$directory/mcsa.sock" - - "$@"; }
secret_token() { k1 get secret "$(secret_of $sai)" -o jsonpath='{.data.token}' | base64 -d; }
check "GetConfig's token is the Secret's" same "$(field 'm["config"]["token"]' socket_client get $sai)" "$(secret_token)"
check "ListConfigs lists what the pod lists" same "$(field '[i["name"] for i in m["imports"]]' socket_client list)" "['$sai']"
