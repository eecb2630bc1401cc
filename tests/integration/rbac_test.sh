#!/bin/bash
# kind: cluster
# takes: 10 min
# Each right that our manifests grant broker and webhook, and bootstrap the broker in a source, is needed: with any one verb
# on any one resource taken away, something that they do fails, and the API server says that it was for the lack of that
# right. And it grants the broker nothing in namespaces that it does not serve.
set -uo pipefail
. tests/integration/lib.sh
. tests/integration/api_server.sh
. tests/integration/webhook_lib.sh
. tests/integration/grpc_lib.sh

own=multicluster-service-account
webhook_seconds=0 # works awaits it by itself
controller=system:serviceaccount:$own:service-account-import-controller
trap 'kill "${watch_pids[@]}" 2>/dev/null; stop_webhook; stop_brokers; stop_helpers; rm -rf "$work"' EXIT

# An API server that refuses watches that begin with a list, as those below Kubernetes 1.32: list is needed too.
for cluster in cluster1 cluster2; do
  # The audit log leaves out Leases and events; those of ours are looked for here.
  sed "/^rules:/a - {level: Metadata, userGroups: [system:serviceaccounts:$own, system:serviceaccounts:$own-webhook]}" \
    "$MCSA_CLUSTERS_DIR/$cluster/audit-policy.yaml" >"$work/audit-policy-$cluster.yaml"
  stop_api_server "$MCSA_CLUSTERS_DIR/$cluster"
  start_api_server "$MCSA_CLUSTERS_DIR/$cluster" --feature-gates=WatchList=false --audit-policy-file="$work/audit-policy-$cluster.yaml"
done
connect_clusters --only=default
install_webhook
k1 label --overwrite namespace default $prefix.sidecar- >/dev/null
# A caller whose pod the broker's watch does not show, because it lacks the label.
k1 run bare --image=none >/dev/null
token bare bare

webhook_ns="k1 -n multicluster-service-account-webhook"
webhook_ca=service-account-import-admission-controller-cert
# ca_bundle remove; ca_bundle test, whether the webhook's configuration has one.
ca_bundle() {
  if [[ $1 == remove ]]; then
    k1 patch mutatingwebhookconfiguration service-account-import-admission-controller --type=json \
      -p '[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]'
  else
    [[ -n $(k1 get mutatingwebhookconfiguration service-account-import-admission-controller -o jsonpath='{.webhooks[0].clientConfig.caBundle}') ]]
  fi
}
soon() {
  local end=$((SECONDS + 5))
  until "$@" >/dev/null 2>&1; do ((SECONDS < end)) || { echo "not within 5 s: $*"; return 1; }; sleep 0.1; done
}
has_ca() { k1 get configmap multicluster-service-account-ca -o jsonpath='{.data.ca\.crt}' >"$work/ca.crt" && [[ -s $work/ca.crt ]]; }
has_event() { [[ $(k1 get events.events.k8s.io --field-selector=reason="$2" -o jsonpath="{.items[?(@.regarding.name==\"$1\")].reason}") ]]; }
lacks_token() { [[ -z $(k1 get secret "$1" -o jsonpath='{.data.token}') ]]; }

# A whole life of an import of the predecessor and of a pod that wants it, seen from outside. Fails, and says where, if any
# part of it does.
works() {
  local name=probe-${EPOCHREALTIME/./} uid secret # not counted: checks run in subshells
  import "$name"
  uid=$(k1 get sai "$name" -o jsonpath='{.metadata.uid}')
  k1 create -f - >/dev/null <<YAML
{apiVersion: v1, kind: Secret, metadata: {name: $name-old, labels: {multicluster.admiralty.io/service-account-import.name: $name},
 ownerReferences: [{apiVersion: multicluster.admiralty.io/v1alpha1, kind: ServiceAccountImport, name: $name, uid: $uid}]}}
YAML
  k1 patch sai "$name" --subresource=status --type=merge -p "{\"status\":{\"secrets\":[{\"name\":\"$name-old\"}]}}" >/dev/null
  k1 -n $own delete lease service-account-import-controller --ignore-not-found >/dev/null
  k1 -n $own delete secret service-account-import-controller-ca --ignore-not-found >/dev/null
  $webhook_ns delete secret $webhook_ca --ignore-not-found >/dev/null
  k1 delete configmap multicluster-service-account-ca --ignore-not-found >/dev/null
  addresses=()
  : >"$work/webhook.log"
  start_grpc_broker
  live "$name"
  local ok=$?
  k1 apply -f k8s/manifests/samples/policy.yaml >/dev/null
  stop_webhook
  stop_brokers
  return $ok
}
live() {
  local name=$1
  soon has_reason "$name" TokenIssued && secret=$(secret_of "$name") && soon k1 get secret "$secret" &&
    soon refused k1 get secret "$name-old" && soon has_event "$name" TokenIssued &&
    webhook_admits "$name" &&
    $webhook_ns delete secret $webhook_ca >/dev/null && soon $webhook_ns get secret $webhook_ca &&
    ca_bundle remove >/dev/null && soon ca_bundle test &&
    k1 delete secret "$secret" >/dev/null && soon k1 get secret "$secret" &&
    k1 delete saip namespace-sameness >/dev/null && soon lacks_token "$secret" &&
    soon has_ca && k1 delete configmap multicluster-service-account-ca >/dev/null && soon has_ca &&
    soon ends_with PERMISSION_DENIED bare get "$name" && leads_on
}
webhook_admits() {
  start_webhook
  soon webhook_is_ready && soon says "/serviceaccountimports/$1" annotated_pod "$1" &&
    says "there is no ServiceAccountImport nobody" annotated_pod nobody && soon says 'nowhere\" not found' review nowhere
}
# What the webhook answers for a pod of that namespace, of which its watches need not know.
review() {
  curl -sk -H "Content-Type: application/json" --data-binary @- "https://127.0.0.1:$webhook_port/mutate-pods" <<JSON
{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "1", "operation": "CREATE", "namespace": "$1",
 "kind": {"group": "", "version": "v1", "kind": "Pod"}, "resource": {"group": "", "version": "v1", "resource": "pods"},
 "object": $(pod_that_asks nobody)}}
JSON
}
pod_that_asks() {
  cat <<JSON
{"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "pod-", "annotations": {$(asks "$1")}},
 "spec": {"containers": [{"name": "app", "image": "i"}]}}
JSON
}
annotated_pod() { pod_that_asks "$1" | k1 create --dry-run=server -o json -f -; }
renewed_at() { k1 -n $own get lease service-account-import-controller -o jsonpath='{.spec.renewTime}'; }
leads_on() { soon differs "$(renewed_at)" renewed_at; }

# The same in the source: an import of an account that comes and goes, and the broker's own credential.
works_in_source() {
  local name=probe-${EPOCHREALTIME/./}
  k2 create serviceaccount "$name" >/dev/null
  k1 apply -f - >/dev/null <<YAML
{apiVersion: multicluster.admiralty.io/v1alpha1, kind: ServiceAccountImport, metadata: {name: $name, namespace: default},
 spec: {clusterName: cluster2, namespace: default, name: $name}}
YAML
  start_broker
  soon has_reason "$name" TokenIssued && k2 delete serviceaccount "$name" >/dev/null &&
    soon is_revoked "$name" RemoteServiceAccountDeleted && renews_itself
  local ok=$?
  stop_brokers
  return $ok
}
renews_itself() {
  local before
  before=$(status_field cluster2 tokenId $own)
  k1 -n $own annotate --overwrite sai cluster2 multicluster.admiralty.io/renew-requested-at="$EPOCHREALTIME" >/dev/null
  soon differs "$before" status_field cluster2 tokenId $own
}

# forbidden CLUSTER FROM_LINE VERB RESOURCE: whether that API server has refused that to us since. An apply that has to
# create is refused as a patch, with a message.
audit_log() { echo "$MCSA_CLUSTERS_DIR/$1/audit.log"; }
forbidden() {
  tail -n "+$2" "$(audit_log "$1")" | python3 -c '
import json, sys
verb, resource = sys.argv[1:]
def is_it(event):
    object, status = event.get("objectRef", {}), event.get("responseStatus", {})
    if ":multicluster-service-account" not in event["user"]["username"] or status.get("code") != 403:
        return False
    asked = "/".join(filter(None, [object.get("resource"), object.get("subresource")]))
    return (event["verb"], asked) == (verb, resource) or f"cannot {verb} resource \"{resource}\"" in status.get("message", "")
sys.exit(not any([is_it(json.loads(line)) for line in sys.stdin if line.endswith("\n")]))' "$3" "$4"
}
# needed CLUSTER VERB RESOURCE. Tried once more if it failed for something else: a busy machine misses a deadline.
declare -A probe=([cluster1]=works [cluster2]=works_in_source)
needed() {
  local from
  for _ in 1 2; do
    from=$(($(wc -l <"$(audit_log "$1")") + 1))
    if ${probe[$1]}; then
      echo "all works without it"
      return 1
    fi
    soon forbidden "$1" "$from" "$2" "$3" && return 0
  done
  return 1
}

check "with the rights of the manifests all works" works
check "with the rights that bootstrap granted too" works_in_source

# rights_of CLUSTER prints one line for each right, and writes to $work/without-<cluster>-<n>.json its role without that right.
rights_of() {
  kubectl --context "$1" get roles,clusterroles -A -o json | python3 -c '
import copy, json, sys
folder, cluster = sys.argv[1:]
n = 0
for role in json.load(sys.stdin)["items"]:
    if not role["metadata"]["name"].startswith(("service-account-import-", "mcsa:")):
        continue
    for key in ("resourceVersion", "uid"):
        del role["metadata"][key]
    for i, rule in enumerate(role["rules"] or []):
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                without = copy.deepcopy(role)
                rest = [dict(rule, verbs=[v for v in rule["verbs"] if v != verb], resources=[resource]),
                        dict(rule, resources=[r for r in rule["resources"] if r != resource])]
                without["rules"][i:i + 1] = [r for r in rest if r["verbs"] and r["resources"]]
                json.dump(without, open(f"{folder}/without-{cluster}-{n}.json", "w"))
                json.dump(role, open(f"{folder}/with-{cluster}-{n}.json", "w"))
                print(cluster, n, role["metadata"].get("namespace", "-"), role["metadata"]["name"], verb, resource)
                n += 1' "$work" "$1"
}
for cluster in cluster1 cluster2; do rights_of $cluster; done >"$work/rights"
check "there are rights to try, of broker and webhook, in target and source" \
  test "$(awk '{ print $4 }' "$work/rights" | sort -u | wc -l)" -ge 6
while read -r cluster n namespace role verb resource <&3; do
  kubectl --context "$cluster" replace -f "$work/without-$cluster-$n.json" >/dev/null
  check "without $verb on $resource of $role ($cluster, $namespace) something fails" needed "$cluster" "$verb" "$resource"
  kubectl --context "$cluster" replace -f "$work/with-$cluster-$n.json" >/dev/null
done 3<"$work/rights"
check "with all of them back all works again" works

for verb in get list create delete; do
  check "no $verb of Secrets in another namespace" may_not k1 "$verb" secrets -n kube-system --as="$controller"
done
check "the API answers 403 there" says "is forbidden" kubectl --kubeconfig "$work/broker.kubeconfig" -n kube-system get secrets
