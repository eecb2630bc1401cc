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
app_matches() { grep -q "$2" <<<"$(k1 logs "$1" -c app)"; }
app_ends_with() { [[ $(k1 logs "$1" -c app --tail=1) == *"$2"* ]]; }
sidecar_log() { k1 logs "$1" -c mcsa-sidecar; }
is_ready() { k1 wait --for=condition=Ready "pod/$1" --timeout=0s; }
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
milliseconds() { date +%s%3N; }
# later FROM TO: milliseconds between two times of the day as logs have them.
later() { echo $(($(date -d "1970-01-01 $2 UTC" +%s%3N) - $(date -d "1970-01-01 $1 UTC" +%s%3N))); }
time_of() { grep -oE '[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]+' | tail -1; }
took() { echo "# $1: $2 ms"; }

check "install" outside tools/clusters install
outside bazel build --config=release //examples/cpp/watch-client 2>&1 | grep -E '^ERROR|error:' >&2
busybox=$(command -v busybox)
check "an app's image is made" tools/oci_layout.py "$work/app.tar" --name localhost/sidecar-pods-test:1 --entrypoint /bin/sh --env PATH=/bin --level 1 \
  "$busybox:755=/bin/sh" "$busybox:755=/bin/sleep" "$(readlink -f "$(command -v kubectl)"):755=/bin/kubectl" .bazel/bin/examples/cpp/watch-client/watch-client:755=/bin/watch-client
check "and loaded" tools/clusters load "$work/app.tar"
# Three minutes in production, for kubelets that look at a ConfigMap once a minute.
broker patch deployment service-account-import-controller --type=json \
  -p '[{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--ca-propagation=10"}]' >/dev/null
check "the brokers trust nodes to bring a CA in 10 s" broker rollout status deployment service-account-import-controller --timeout=60s
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
check "the sidecar tells its health" same "$(field 'm["serving"]' socket_client health)" True
check "ListConfigs lists what the pod lists" same "$(field '[i["name"] for i in m["imports"]]' socket_client list)" "['$sai']"

# --- memory
resident=$(awk '/^VmRSS/ { print $2 }' "/proc/$sidecar/status")
echo "# the sidecar's resident memory: $((resident / 1024)) MiB"
check "it is below what the sidecar requests, 16 MiB" test "$resident" -lt $((16 * 1024))
check "and limited to 48 MiB" test "$(k1 get pod watcher -o jsonpath='{.spec.initContainers[0].resources.limits.memory}')" = 48Mi

# --- users
declare -A users=([root]="runAsUser: 0" [user]="runAsUser: 1000" [image-user]="runAsUser: 65532" [group]="runAsUser: 1000, runAsGroup: 1000, fsGroup: 2000")
# Without the files' directory the client has the socket alone.
for name in "${!users[@]}"; do
  pod "$name" "read -r token <$mount/token; echo the file has \${#token} bytes; MCSA_IMPORTS_DIRECTORY=/none watch-client $sai </dev/null" "securityContext: {${users[$name]}}"
done
size=$(secret_token | wc -c)
for name in "${!users[@]}"; do
  eventually "${users[$name]}: an app reads the file" 30 app_says "$name" "the file has $size bytes"
  eventually "${users[$name]}: and calls GetConfig" 10 app_matches "$name" "GetConfig $sai: https://.* a token of $size bytes, $second"
done
k1 delete pod "${!users[@]}" --now --wait=false >/dev/null

# --- the broker's CA is replaced under an open stream
bundle() { k1 get configmap multicluster-service-account-ca -o jsonpath='{.data.ca\.crt}'; }
signing() { broker get secret service-account-import-controller-ca -o json | jq -r '.data | to_entries[] | .key + .value' | md5sum; }
before=$(bundle)
broker annotate secret service-account-import-controller-ca multicluster.admiralty.io/rotate-requested-at=now >/dev/null
eventually "the new CA is trusted" 30 differs "$before" bundle
announced=$(signing)
eventually "and signs" 40 differs "$announced" signing
check "the stream stayed" lacks "there is no stream" sidecar_log watcher

# --- the serving broker is killed
streams() { k1 get --raw "/api/v1/namespaces/multicluster-service-account/pods/$1:8080/proxy/metrics" | awk '/^mcsa_grpc_streams / { print int($2) }'; }
serving='' other=''
for name in $(broker get pod -l app=service-account-import-controller -o jsonpath='{.items[*].metadata.name}'); do
  if (($(streams "$name") > 0)); then serving=$name; else other=$name; fi
done
check "one of two brokers has the stream" test -n "$serving" -a -n "$other"
killed=$(date -u +%T.%3N)
check "it is killed" kill -KILL "$(process "$(uid "$serving" broker)" /mcsa-broker)"
has_stream() { (($(streams "$1") > 0)); }
eventually "the other has it, by a certificate of the new CA" 5 has_stream "$other"
reopened=$(sidecar_log watcher | grep -F "the stream to the broker is open" | tail -1 | time_of)
took "from the kill to the next stream" "$(later "$killed" "$reopened")"
check "within 3 s" test "$(later "$killed" "$reopened")" -gt 0 -a "$(later "$killed" "$reopened")" -lt 3000
check "a token is renewed by who leads now" kubemcsa renew $sai --context cluster1 -n default
check "it is another again" differs "$second" token_id
third=$(token_id)
eventually "and the app is told" 5 app_says watcher "$third"

# --- and again, with a version that comes while there is no stream: the sidecar stands still
kill -STOP "$sidecar"
check "the one that has it now is killed too" kill -KILL "$(process "$(uid "$other" broker)" /mcsa-broker)"
check "a token is renewed" kubemcsa renew $sai --context cluster1 -n default
check "it is another still" differs "$third" token_id
fourth=$(token_id)
check "which the app has not heard of" lacks "$fourth" k1 logs watcher -c app
kill -CONT "$sidecar"
eventually "and does, when the sidecar goes on" 10 app_says watcher "$fourth"
for id in "$first" "$second" "$third"; do check "as of each one before" app_says watcher "$id"; done

# --- a pod that is there before the account
import early default "name: not-yet"
eventually "an import has no account" 20 eval '[[ -n $(condition early Ready) ]] && refused has_reason early TokenIssued'
sai=early pod early watch-client
waits() { process "$(uid early k1)" "/mcsa-sidecar wait" && [[ $(k1 get pod early -o jsonpath='{.status.phase}') == Pending ]]; }
eventually "its pod waits in the sidecar's start gate" 20 waits
k2 create serviceaccount not-yet >/dev/null
check "and is ready when the account is there" k1 wait --for=condition=Ready pod/early --timeout=30s
eventually "with its token" 5 app_says early "$(status_field early tokenId)"

# --- kubectl as it is, by KUBECONFIG and the exec plugin
pod kubectl 'while true; do kubectl get pods -o name 2>&1; sleep 1; done' "" kubeconfig
eventually "kubectl lists cluster2's pods" 40 app_ends_with kubectl pod/hello
old=$(secret_token)
by_old_token() { kubectl --server="$(status_field $sai server)" --insecure-skip-tls-verify --token="$old" get pods; }
k2 delete serviceaccount pod-lister >/dev/null
k2 create serviceaccount pod-lister >/dev/null
# The API server remembers a token that it found good for 10 s.
eventually "with another account of that name, the old token is answered 401" 15 says Unauthorized by_old_token
eventually "the import has a token of the new account" 20 eval 'has_reason $sai TokenIssued && differs "$old" secret_token'
lines=$(k1 logs kubectl -c app | wc -l)
further() { (($(k1 logs kubectl -c app | wc -l) > lines + 2)) && [[ $(k1 logs kubectl -c app --tail=2) == $'pod/hello\npod/hello' ]]; }
eventually "and kubectl goes on" 20 further
k2 delete serviceaccount pod-lister >/dev/null
eventually "revoked, kubectl says so" 20 says "was revoked; see kubectl describe serviceaccountimport $sai" k1 logs kubectl -c app --tail=5
k2 create serviceaccount pod-lister >/dev/null
eventually "and works again when the account is back" 30 app_ends_with kubectl pod/hello

# --- no broker
broker scale deployment service-account-import-controller --replicas=0 >/dev/null
broker wait --for=delete pod -l app=service-account-import-controller --timeout=30s >/dev/null
begun=$(milliseconds)
pod late "watch-client"
check "without a broker a new pod starts" k1 wait --for=condition=Ready pod/late --timeout=20s
took "from its creation to ready" $(($(milliseconds) - begun))
eventually "its app has the token" 5 app_says late "$(token_id)"
check "kubectl works in the other" app_ends_with kubectl pod/hello

# --- its sidecar is killed
late=$(uid late k1)
dead=$(process "$late" "/mcsa-sidecar run")
app=$(process "$late" watch-client)
begun=$(milliseconds)
kill -KILL "$dead"
connects() { python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "/proc/$1/root$directory/mcsa.sock"; }
check "killed, its files stay" eval '[[ $(<"/proc/$app/root$mount/token") == "$(secret_token)" ]]'
is_back() {
  local pid
  pid=$(process "$late" "/mcsa-sidecar run") && [[ $pid != "$dead" ]] && connects "$pid"
}
eventually "the socket is back" 30 is_back
sidecar=$(process "$late" "/mcsa-sidecar run")
# By the kernel's times, so that how we looked is not in it; before it the kubelet takes its time to notice.
read -r started bound < <(awk -v now="$(date +%s.%N)" -v uptime="$(</proc/uptime)" -v bound="$(stat -c %.3Y "/proc/$sidecar/root$directory/mcsa.sock")" \
  '{ printf "%.0f %.0f\n", (now - uptime + $22 / 100) * 1000, bound * 1000 }' "/proc/$sidecar/stat")
took "from its death to the kubelet's new one" $((started - begun))
took "from then to its socket" $((bound - started))
check "within 2 s" test $((bound - started)) -lt 2000
check "and serves" same "$(field 'm["config"]["token"]' socket_client get $sai)" "$(secret_token)"
check "the app saw no error" test -z "$(k1 logs late -c app | grep -v "a token of")"
for name in watcher late kubectl; do check "no log of $name holds a token" lacks eyJ k1 logs $name --all-containers; done
