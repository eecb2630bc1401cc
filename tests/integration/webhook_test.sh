#!/bin/bash
# kind: cluster
# The webhook between a real API server and its own rights: what pods get, what is refused and how, and what happens to other
# pods while the webhook is away or attacked.
set -uo pipefail
. tests/integration/lib.sh
. tests/integration/api_server.sh
. tests/integration/webhook_lib.sh

connect_clusters
install_webhook
is_not_ready() { [[ $(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:$metrics_port/readyz) == 503 ]]; }
webhook_seconds=2 start_webhook
check "before there is a CA, the webhook is not ready" is_not_ready
start_broker --ca-propagation=1
eventually "it becomes ready with the CA that the broker made" 30 webhook_is_ready
stop_brokers
k1 patch mutatingwebhookconfiguration service-account-import-admission-controller --type=json -p "[{\"op\": \"replace\",
  \"path\": \"/webhooks/0/clientConfig/caBundle\", \"value\": \"$(k1 config view --raw --minify -o jsonpath='{.clusters[0].cluster.certificate-authority-data}')\"}]" >/dev/null
eventually "with a caBundle that is not of its CA it is not ready" 11 is_not_ready
start_broker --ca-propagation=1
eventually "until the broker puts that right" 30 webhook_is_ready
for name in a b dotted.name.example "$(printf 'x%.0s' {1..253})"; do import "$name"; done
for name in a b dotted.name.example "$(printf 'x%.0s' {1..253})"; do eventually "import ${name:0:20} is ready" 20 has_reason "$name" TokenIssued; done

# --- what pods get
sees() { [[ $(pod "$2" "${3-}" | mounts "${4-app}") == "$1" ]]; }
check "a pod that asks sees its import" sees a "$(asks a)"
check "spaces, duplicates and empty items do not matter" sees "a b" "$(asks ' a ,b, a,, ')"
check "an empty list is no list" sees "" "$(asks ' , ')"
check "a dotted name works" sees dotted.name.example "$(asks dotted.name.example)"
long=$(printf 'x%.0s' {1..253})
check "and one of 253 characters" sees "$long" "$(asks "$long")"
check "init containers see it as well" sees a "$(asks a)" '"initContainers": [{"name": "init", "image": "i"}]' init
check "a container that is not listed does not" sees "" "$(asks a), \"$prefix.containers\": \"init\"" '"initContainers": [{"name": "init", "image": "i"}]'
check "user namespaces do not matter" sees a "$(asks a)" '"hostUsers": false'
check "KUBECONFIG is set when it is asked for" says "$directory/a/config" pod "$(asks a), \"$prefix.client\": \"kubeconfig\""
check "the in-cluster door leads to cluster2" says "${server2##*:}" pod "$(asks a), \"$prefix.client\": \"in-cluster\""
check "several kubeconfigs come with a warning" says "read the first only" pod "$(asks a,b), \"$prefix.client\": \"kubeconfig\""
check "a real pod is created with its label" eval "pod '$(asks a)' | python3 -c 'import json, sys; assert json.load(sys.stdin)[\"metadata\"][\"labels\"][\"multicluster.admiralty.io/injected\"] == \"true\"'"

# --- what is refused
check "an unknown import is named" denied "there is no ServiceAccountImport nobody in namespace default" pod "$(asks a,nobody)"
check "a name with a space is none" denied 'lists "a b", which is no name' pod "$(asks 'a b')"
# audited TEXT: whether the audit log of cluster1 has a refusal of ours that says so.
audited() {
  jq -e --arg text "$1" --arg name service-account-import-admission-controller.multicluster.admiralty.io/message -n \
    'any(inputs | .annotations[$name] // empty; contains($text))' "$MCSA_CLUSTERS_DIR/cluster1/audit.log"
}
check "the audit log keeps why" audited "there is no ServiceAccountImport nobody in namespace default"
check "also of an annotation that is malformed" audited 'lists "a b", which is no name'
check "a volume of our name is the user's mistake" denied "rename it" pod "$(asks a)" \
  "\"volumes\": [{\"name\": \"mcsa-$(printf a | sha256sum | head -c 10)\", \"emptyDir\": {}}]"
check "a container of our name too" denied "kept for the sidecar" pod "$(asks a)" '"initContainers": [{"name": "mcsa-sidecar", "image": "i"}]'
mounted() { echo "\"volumes\": [{\"name\": \"v\", \"emptyDir\": {}}], \"initContainers\": [{\"name\": \"c\", \"image\": \"i\", \"volumeMounts\": [{\"name\": \"v\", \"mountPath\": \"$1\"}]}]"; }
check "a mount at our path too" denied "mount it elsewhere" pod "$(asks a)" "$(mounted $directory/a)"
check "or below it" denied "mount it elsewhere" pod "$(asks a)" "$(mounted $directory/a/token)"
check "a wrong door lists the right ones" denied "files, kubeconfig or in-cluster" pod "$(asks a), \"$prefix.client\": \"x\""
import unready default "namespace: nowhere"
check "an import that is not ready says so" denied "import unready is not ready" pod "$(asks unready)"
check "the sidecar waits for it instead" says '"mcsa-sidecar"' pod "$(asks unready), \"$prefix.sidecar\": \"enabled\""
k1 annotate namespace default "$prefix.sidecar=enabled" >/dev/null
eventually "the namespace may carry that default" 10 says '"mcsa-sidecar"' pod "$(asks a)"
check "and the pod wins" lacks '"mcsa-sidecar"' pod "$(asks a), \"$prefix.sidecar\": \"disabled\""
k1 annotate namespace default "$prefix.sidecar-" >/dev/null
eventually "until it goes" 10 lacks '"mcsa-sidecar"' pod "$(asks a)"

# --- restricted pod security, and no API token of the pod in the sidecar
k1 create namespace restricted >/dev/null
k1 label namespace restricted pod-security.kubernetes.io/enforce=restricted >/dev/null
import a restricted
eventually "restricted pods with the sidecar are admitted" 10 says '"mcsa-sidecar"' \
  pod "$(asks a), \"$prefix.sidecar\": \"enabled\"" '' restricted
sidecar_tokens() {
  pod "$(asks a), \"$prefix.sidecar\": \"enabled\"" | python3 -c '
import json, sys
sidecar = json.load(sys.stdin)["spec"]["initContainers"][0]
print(sidecar["name"], *[m["name"] for m in sidecar["volumeMounts"] if m["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"])'
}
check "the sidecar holds the broker's token only" says "mcsa-sidecar mcsa-broker" sidecar_tokens

# --- a second real webhook that adds a container after ours
adder_port=$(free_port)
python3 tests/integration/container_adder.py "$work" "$adder_port" &
adder=$!
eventually "another webhook serves" 10 test -e "$work/adder.crt"
k1 apply -f - >/dev/null <<YAML
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: zz-container-adder}
webhooks:
- name: adder.example.com
  clientConfig: {url: "https://127.0.0.1:$adder_port/", caBundle: $(base64 -w0 <"$work/adder.crt")}
  rules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [pods]}]
  failurePolicy: Fail
  sideEffects: None
  admissionReviewVersions: [v1]
YAML
eventually "a container that another webhook added after ours sees the import" 10 sees a "$(asks a)" "" added
k1 delete mutatingwebhookconfiguration zz-container-adder >/dev/null
kill $adder

# --- import and Job in one apply
k1 apply -f - >/dev/null <<YAML
apiVersion: multicluster.admiralty.io/v1alpha1
kind: ServiceAccountImport
metadata: {name: one-apply, namespace: default}
spec: {clusterName: cluster2, namespace: default, name: pod-lister}
---
apiVersion: batch/v1
kind: Job
metadata: {name: one-apply, namespace: default}
spec: {template: {metadata: {annotations: {$prefix.name: one-apply}}, spec: {restartPolicy: Never, containers: [{name: app, image: i}]}}}
YAML
job_sees() { [[ $(k1 get pod -l job-name="$1" -o json | python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["items"][0]))' | mounts app) == "$1" ]]; }
eventually "an import and its Job in one apply end in a pod" 30 job_sees one-apply

# --- the webhook is away
stop_webhook
check "without the webhook, other pods are created" pod ''
check "also in kube-system" pod '' '' kube-system
check "pods that ask hear whose webhook fails" denied "service-account-import-admission-controller.multicluster.admiralty.io" pod "$(asks a)"
for own in multicluster-service-account{,-webhook}; do check "$own is never asked about" pod "$(asks a)" '' $own; done
k1 create namespace out >/dev/null
k1 label namespace out multicluster-service-account=disabled >/dev/null
eventually "nor one that is labelled disabled" 10 pod "$(asks a)" '' out
k1 get mutatingwebhookconfiguration service-account-import-admission-controller -o yaml >"$work/configuration.yaml"
k1 delete mutatingwebhookconfiguration service-account-import-admission-controller >/dev/null
eventually "without its configuration the guard refuses" 10 denied "is the webhook service-account-import-admission-controller installed" pod "$(asks a)"
check "and our broker starts" pod "$(asks a)" '' multicluster-service-account
sed -i '/resourceVersion:/d; /uid:/d; /caBundle:/d' "$work/configuration.yaml"
k1 create -f "$work/configuration.yaml" >/dev/null
start_webhook
check "the broker fills in caBundle anew, and the webhook is ready" webhook_is_ready
eventually "so that pods are admitted again" 10 sees a "$(asks a)"

# --- a clear answer to nonsense
post() { curl -sk -o /dev/null -w '%{http_code}' --max-time 20 "https://127.0.0.1:$webhook_port$@"; }
python3 -c 'print("[" * 100000 + "]" * 100000)' >"$work/deep"
head -c 4000000 /dev/zero >"$work/huge"
check "half a review is a 400" test "$(post /mutate-pods -d '{"kind":')" = 400
check "a deep one too" test "$(post /mutate-pods --data-binary "@$work/deep")" = 400
# The answer may be overtaken by the reset of a connection on which a client is still sending: then it must come soon.
is_refused_soon() {
  local start=$EPOCHREALTIME status
  status=$(post /mutate-pods -H Expect: --data-binary "@$1")
  echo "status $status after $start to $EPOCHREALTIME"
  [[ $status == 413 || ($status == 000 && ${EPOCHREALTIME/./} -lt $((${start/./} + 5000000))) ]]
}
check "a huge one is refused" is_refused_soon "$work/huge"
check "and others are answered after it" test "$(curl -sk -o /dev/null -w '%{http_code}' --max-time 5 "https://127.0.0.1:$webhook_port/healthz")" = 200
python3 -c 'print("[" + "[0]," * 780000 + "0]")' >"$work/costly"
check "one that is large once parsed is a 400" test "$(post /mutate-pods --data-binary "@$work/costly")" = 400
check "another path is a 404" test "$(post / -d x)" = 404
check "TLS 1.2 is refused" refused curl -sk --tls-max 1.2 "https://127.0.0.1:$webhook_port/healthz"
check "plain HTTP is refused" refused curl -s --max-time 10 "http://127.0.0.1:$webhook_port/healthz"

# --- only API servers may ask, by their client certificate
new_ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj "/CN=$1" -keyout "$work/$1.key" -out "$work/$1.crt" 2>/dev/null; }
# new_client CA: a certificate that it signed, $work/CA-client.crt.
new_client() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=api-server -keyout "$work/$1-client.key" 2>/dev/null |
    openssl x509 -req -days 1 -CA "$work/$1.crt" -CAkey "$work/$1.key" -CAcreateserial -out "$work/$1-client.crt" 2>/dev/null
}
for ca in theirs others; do new_ca $ca && new_client $ca; done
stop_webhook
start_webhook --client-ca-file="$work/theirs.crt"
check "who shows no certificate hears 403" test "$(post /mutate-pods -d '{}')" = 403
check "a certificate of another CA opens nothing" grep -qE '^(403|000)$' \
  <<<"$(post /mutate-pods -d '{}' --cert "$work/others-client.crt" --key "$work/others-client.key")"
check "who shows theirs is answered" test "$(post /mutate-pods -d '{}' --cert "$work/theirs-client.crt" --key "$work/theirs-client.key")" = 400
check "an API server without one cannot ask" denied "only API servers may ask" pod "$(asks a)"
cat >"$work/admission.yaml" <<YAML
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: MutatingAdmissionWebhook
  configuration:
    apiVersion: apiserver.config.k8s.io/v1
    kind: WebhookAdmissionConfiguration
    kubeConfigFile: $work/admission.kubeconfig
YAML
cat >"$work/admission.kubeconfig" <<YAML
apiVersion: v1
kind: Config
users: [{name: "127.0.0.1:$webhook_port", user: {client-certificate: $work/theirs-client.crt, client-key: $work/theirs-client.key}}]
YAML
cluster1=$MCSA_CLUSTERS_DIR/cluster1
stop_api_server "$cluster1"
start_api_server "$cluster1" --admission-control-config-file="$work/admission.yaml"
eventually "an API server that shows theirs has its pods admitted" 20 sees a "$(asks a)"
stop_webhook
start_webhook

# --- told to stop before it began: its API server does not answer
sed 's|server:.*|server: https://127.0.0.1:9|' "$work/webhook.kubeconfig" >"$work/nowhere.kubeconfig"
mcsa-webhook --kubeconfig="$work/nowhere.kubeconfig" --address=127.0.0.1:0 --metrics-address=127.0.0.1:0 \
  --name=127.0.0.1 --sidecar-image=sidecar:test 2>"$work/unstarted.log" &
unstarted=$!
eventually "a webhook waits for its API server" 10 grep -q "mcsa-webhook started" "$work/unstarted.log"
kill $unstarted
check "and ends within 2 s when it is told to" timeout 2 tail --pid=$unstarted -f /dev/null
kill -KILL $unstarted 2>/dev/null

# --- attacked, while 1,000 pods are created
python3 tests/integration/attack_webhook.py $webhook_port "$work/attack" &
attack=$!
eventually "the attack is under way" 60 test -e "$work/attack"
import flood
eventually "import flood is ready" 20 has_reason flood TokenIssued
k1 apply -f - >/dev/null <<YAML
apiVersion: batch/v1
kind: Job
metadata: {name: flood, namespace: default}
spec: {parallelism: 1000, completions: 1000, template: {metadata: {annotations: {$prefix.name: flood}}, spec: {restartPolicy: Never, containers: [{name: app, image: i}]}}}
YAML
created() { (($(k1 get pod -l job-name=flood -o name | wc -l) >= $1)); }
held() { echo "$(connections) connections" && (($(connections) >= 100)); }
connections() { ss -tnH state established "sport = :$webhook_port" | wc -l; }
eventually "half of 1,000 pods are created under attack" 90 created 500
check "while 100 connections are held" held
eventually "and the other half" 90 created 1000
check "to the end" held
kill $attack
attack=
all_mounted() {
  k1 get pod -l job-name=flood -o json | python3 -c '
import json, sys
pods = json.load(sys.stdin)["items"]
bare = [p["metadata"]["name"] for p in pods if not any(m["mountPath"].endswith("/flood") for m in p["spec"]["containers"][0]["volumeMounts"])]
sys.exit(f"{len(bare)} of {len(pods)} pods lack the mount" if bare else 0)'
}
check "every one with its mounts" all_mounted
check "none was refused or timed out" test "$(k1 get events --field-selector reason=FailedCreate,involvedObject.name=flood -o name | wc -l)" = 0
echo "webhook's peak of resident memory: $(resident_peak) KiB"
check "memory stays below the limit" test "$(resident_peak)" -lt $((256 * 1024))
check "no token is in the webhook's log" refused grep -qE 'eyJ[A-Za-z0-9_-]{20}' "$work/webhook.log"
check "metrics count the admissions" says 'mcsa_admissions_total{result="allowed"}' curl -s http://127.0.0.1:$metrics_port/metrics
