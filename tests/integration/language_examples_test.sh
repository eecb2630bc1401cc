#!/bin/bash
# kind: node
# The examples in Go, Python, Node.js and shell on a real node, each through its door. Their Jobs are as their pages show
# them, with what the webhook adds to such a pod added here (webhook_test.sh is about the webhook).
set -uo pipefail
. tests/integration/lib.sh

# injected FILE: the manifest with the import's Secret mounted as its annotation "client" says.
injected() {
  k1 create --dry-run=client -o json -f "$1" | python3 -c '
import json, re, sys
secret, server = sys.argv[1:]
text = sys.stdin.read()
decoder = json.JSONDecoder()
while text := text.strip():
    item, end = decoder.raw_decode(text)
    text = text[end:]
    if item["kind"] != "Job":
        continue
    pod = item["spec"]["template"]
    door = pod["metadata"]["annotations"].get("multicluster.admiralty.io/service-account-import.client", "files")
    path = "/var/run/secrets/admiralty.io/serviceaccountimports/pod-lister"
    environment = {"kubeconfig": {"KUBECONFIG": path + "/config"}}.get(door, {})
    if door == "in-cluster":
        path = "/var/run/secrets/kubernetes.io/serviceaccount"
        host, port = re.fullmatch(r"https://(.*):(\d+)", server).groups()
        environment = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    spec = pod["spec"]
    spec["volumes"] = [{"name": "import", "secret": {"secretName": secret}}]
    for container in spec["containers"]:
        container["volumeMounts"] = [{"name": "import", "mountPath": path, "readOnly": True}]
        container["env"] = [{"name": name, "value": value} for name, value in environment.items()]
    print(json.dumps(item))' "$(secret_of pod-lister)" "$(status_field pod-lister server)"
}
runs() { injected "$1" | k1 apply -f -; }
prints() { [[ $(k1 logs "job/list-pods-$1" --tail=1) == "default hello" ]]; }

install_broker
k2 apply -f k8s/manifests/samples/account.yaml >/dev/null
k2 run hello --image=localhost/pause:1 --restart=Never >/dev/null
server2=$(k2 config view --minify -o jsonpath='{.clusters[0].cluster.server}')
kubemcsa bootstrap cluster1 cluster2 --source-server="$server2" 2>"$work/bootstrap" || { echo "FAIL bootstrap: $(<"$work/bootstrap")"; exit 1; }
broker_kubeconfig
start_broker
mkdir "$work/images"
check "the examples' images are built" python3 tests/example_images.py "$work/images"
check "and loaded" tools/clusters load "$work"/images/*.tar
for example in go python node shell; do k1 apply -f "examples/$example/job.yaml" --dry-run=server -o name; done >"$work/valid"
check "the manifests of their pages are valid" test "$(wc -l <"$work/valid")" = 8
import pod-lister
eventually "their import becomes ready" 20 has_reason pod-lister TokenIssued
for example in go python node shell; do
  [[ -e $work/images/$example.tar ]] || { echo "SKIP $example: npm is not installed"; continue; }
  check "$example: its Job is made" runs "examples/$example/job.yaml"
done
for example in go python node shell; do
  [[ ! -e $work/images/$example.tar ]] || eventually "$example: prints the pod of the other cluster" 90 prints "$example"
done
check "no log holds a token" refused says eyJ k1 logs -l batch.kubernetes.io/job-name --tail=-1
