#!/bin/bash
# kind: node
# kubectl and the Python client, unmodified, in pods by the in-cluster door, before and after their account is made anew;
# and kubectl debug in such a pod.
set -uo pipefail
. tests/integration/lib.sh
. tests/integration/pods_lib.sh

connect
check "images of kubectl and Python are built" outside examples/images.py "$work/images" python shell
check "and loaded" tools/clusters load "$work"/images/*.tar
# in_cluster NAME IMAGE ARGUMENTS
in_cluster() {
  cat <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $1, namespace: default, annotations: {$prefix.name: $sai, $prefix.client: in-cluster}}
spec: {containers: [{name: $1, image: multicluster-service-account/example-$2, imagePullPolicy: IfNotPresent, args: $3}]}
YAML
}
in_cluster kubectl shell '[-c, "while :; do sleep 3600; done"]' | k1 apply -f - >/dev/null
in_cluster python python "$(python3 -c 'import json, sys; print(json.dumps(["-c", sys.stdin.read()]))' <<'PYTHON'
import time
import kubernetes
kubernetes.config.load_incluster_config()
api = kubernetes.client.CoreV1Api()
while True:
    try:
        print("lists", *[pod.metadata.name for pod in api.list_namespaced_pod("default").items], flush=True)
    except kubernetes.client.ApiException as error:
        print("hears", error.status, flush=True)
    time.sleep(1)
PYTHON
)" | k1 apply -f - >/dev/null
kubectl_lists() { [[ $(k1 exec kubectl -- kubectl get pods -o name) == pod/nginx ]]; }
python_lists() { [[ $(k1 logs python --since-time="$1") == *"lists nginx"* ]]; }
eventually "kubectl in a pod lists cluster2's pods" 40 kubectl_lists
eventually "so does Python" 40 python_lists "$(date -u +%FT%TZ -d '-1 minute')"

# --- the account is made anew; the kubelet brings the new token within a minute or two
server2=$(status_field $sai server)
k1 get secret "$(secret_of $sai)" -o jsonpath='{.data.token}' | base64 -d >"$work/token"
answer() { curl -sk -o /dev/null -w '%{http_code}' -H "@$work/header" "$server2/api/v1/namespaces/default/pods"; }
{ echo -n "Authorization: Bearer " && cat "$work/token"; } >"$work/header"
check "the old token is good" test "$(answer)" = 200
k2 delete serviceaccount pod-lister >/dev/null
k2 create serviceaccount pod-lister >/dev/null
is_refused() { [[ $(answer) == 401 ]]; }
eventually "once the account was made anew, it is answered 401" 30 is_refused
refused_at=$(date -u +%FT%TZ -d '+1 second')

# --- a container that is added later
check "kubectl debug adds a container to an injected pod" k1 debug kubectl --image=multicluster-service-account/example-shell \
  --image-pull-policy=IfNotPresent --container=debugger -- sh -c 'echo debugging; sleep 3600'
eventually "which runs" 30 says debugging k1 logs kubectl -c debugger

# --- what the clients hear now
eventually "kubectl in a pod lists again" 120 kubectl_lists
eventually "so does Python, of itself" 120 python_lists "$refused_at"
