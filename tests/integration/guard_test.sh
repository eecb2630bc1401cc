#!/bin/bash
# kind: cluster
# The admission policies in the target, judged by a real API server without our webhook: the guard of pods, and what our own
# identities may change of the webhook configuration.
set -uo pipefail
. tests/integration/lib.sh

manifests=k8s/manifests/webhook
annotation=multicluster.admiralty.io/service-account-import
directory=/var/run/secrets/admiralty.io/serviceaccountimports
k1 apply -f $manifests/guard.yaml -f $manifests/configuration.yaml >/dev/null
# Without a webhook to answer: the guard alone is tried here.
k1 patch mutatingwebhookconfiguration service-account-import-admission-controller --type=json \
  -p '[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]' >/dev/null

# pod ANNOTATIONS CONTAINERS [INIT_CONTAINERS] [NAMESPACE]: creates a pod that no node runs; JSON fields.
runs=0
pod() {
  k1 -n "${4-default}" create --dry-run=server -f - <<JSON
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod-$((runs += 1))", "annotations": {$1}}, "spec": {
  "containers": [$2], "initContainers": [${3-}],
  "volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}]}}
JSON
}
# container NAME [IMPORT...]
container() {
  local name=$1 mounts=() import
  shift
  for import; do mounts+=("{\"name\": \"a\", \"mountPath\": \"$directory/$import\"}"); done
  echo "{\"name\": \"$name\", \"image\": \"i\", \"volumeMounts\": [$(IFS=,; echo "${mounts[*]-}")]}"
}
asks() { echo "\"$annotation.name\": \"$1\"${2:+, \"$annotation.containers\": \"$2\"}"; }
# denied TEXT COMMAND...: is refused, and says so.
denied() { local text=$1 output; shift; output=$("$@" 2>&1) && return 1; echo "$output"; [[ $output == *"$text"* ]]; }

k1 -n default get serviceaccount default >/dev/null 2>&1 || eventually "a default account is there" 10 k1 get serviceaccount default
eventually "the guard stands" 10 denied "is the webhook" pod "$(asks a)" "$(container main)"
check "a pod that asks for nothing passes" pod '"other": "x"' "$(container main)"
check "a pod without annotations passes" pod '' "$(container main)"
check "an annotation that names nothing passes" pod "$(asks ' , ')" "$(container main)"
check "a pod with the mounts passes" pod "$(asks ' a, b ,a')" "$(container main a b)" "$(container init a b)"
check "one of two imports is too few" denied "first named main" pod "$(asks a,b)" "$(container main a)"
check "a second container without is named" denied "first named other" pod "$(asks a)" "$(container main a),$(container other)"
check "an init container counts" denied "first named init" pod "$(asks a)" "$(container main a)" "$(container init)"
check "our sidecar does not" pod "$(asks a)" "$(container main a)" "$(container mcsa-sidecar)"
check "nor a container that was not chosen" pod "$(asks a main)" "$(container main a),$(container other)"
check "a chosen one does" denied "first named other" pod "$(asks a main,other)" "$(container main a),$(container other)"
check "a chosen one that does not exist is named" denied "names nobody" pod "$(asks a main,nobody)" "$(container main a)"
check "2,000 imports in 20 containers are judged" denied "2000 ServiceAccountImport(s)" \
  pod "$(asks "$(seq -s, 2000)")" "$(for i in $(seq 20); do container "c$i"; done | paste -sd,)"
k1 create namespace out >/dev/null
k1 label namespace out multicluster-service-account=disabled >/dev/null
eventually "a namespace that is labelled disabled is left alone" 10 pod "$(asks a)" "$(container main)" '' out
for own in multicluster-service-account{,-webhook}; do
  k1 create namespace $own >/dev/null
  eventually "$own is never guarded" 10 pod "$(asks a)" "$(container main)" '' $own
done

# --- what our identities may change of the webhook configuration
broker=system:serviceaccount:multicluster-service-account:service-account-import-controller
k1 create clusterrole writer --verb=get,create,update,patch --resource=mutatingwebhookconfigurations >/dev/null
k1 create clusterrolebinding writer --clusterrole=writer --user=$broker >/dev/null
configuration() { k1 --as=$broker patch mutatingwebhookconfiguration service-account-import-admission-controller --type=json -p "[$1]"; }
replace() { configuration "{\"op\": \"replace\", \"path\": \"/webhooks/0/$1\", \"value\": $2}"; }
ca=$(k1 config view --raw --minify -o jsonpath='{.clusters[0].cluster.certificate-authority-data}')
eventually "the freeze stands" 10 denied "nothing but caBundle" replace failurePolicy '"Fail"'
check "caBundle may change" configuration "{\"op\": \"add\", \"path\": \"/webhooks/0/clientConfig/caBundle\", \"value\": \"$ca\"}"
while IFS='|' read -r field value; do
  check "$field may not" denied "nothing but caBundle" replace "$field" "$value"
done <<'FIELDS'
name|"other.multicluster.admiralty.io"
rules|[{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}]
matchConditions|[]
matchPolicy|"Exact"
namespaceSelector|{}
objectSelector|{"matchLabels": {"a": "b"}}
reinvocationPolicy|"Never"
sideEffects|"NoneOnDryRun"
timeoutSeconds|30
clientConfig/service/name|"other"
clientConfig|{"url": "https://evil.example/"}
FIELDS
check "a webhook more may not" denied "nothing but caBundle" configuration \
  '{"op": "copy", "from": "/webhooks/0", "path": "/webhooks/1"}, {"op": "replace", "path": "/webhooks/1/name", "value": "b.multicluster.admiralty.io"}'
check "nor another configuration" denied "nothing but caBundle" eval \
  "k1 get mutatingwebhookconfiguration service-account-import-admission-controller -o json |
   python3 -c 'import json,sys; o = json.load(sys.stdin); o[\"metadata\"] = {\"name\": \"other\"}; print(json.dumps(o))' | k1 --as=$broker create -f -"
check "its admin may" k1 patch mutatingwebhookconfiguration service-account-import-admission-controller --type=json \
  -p '[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Fail"}]'
check "applying the manifest again keeps caBundle" eval "k1 apply -f $manifests/configuration.yaml &&
  [[ \$(k1 get mutatingwebhookconfiguration service-account-import-admission-controller -o jsonpath='{.webhooks[0].clientConfig.caBundle}') == $ca ]]"
