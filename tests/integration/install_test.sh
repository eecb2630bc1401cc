#!/bin/bash
# kind: cluster
# The manifests: install.yaml is the kustomize base, applying it twice changes nothing, and applying it over what the
# predecessor left on a cluster takes that over.
set -uo pipefail
. tests/integration/lib.sh

fixtures=tests/testdata/predecessor
install_yaml=.bazel/bin/k8s/manifests/install.yaml
bazel build --config=release //k8s/manifests:install >/dev/null 2>&1

same_objects() {
  kubectl kustomize k8s/manifests >"$work/base.yaml" && python3 - "$work/base.yaml" $install_yaml <<'PY'
import sys, yaml

def objects(path):
    found = {}
    for o in yaml.safe_load_all(open(path)):
        if o:
            key = o["apiVersion"], o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]
            assert key not in found, f"twice: {key}"
            found[key] = o
    return found

base, install = map(objects, sys.argv[1:])
assert base.keys() == install.keys(), f"only in one of them: {base.keys() ^ install.keys()}"
different = [key for key in base if base[key] != install[key]]
sys.exit(f"different: {different}" if different else 0)
PY
}
# All that install.yaml names, each with the two numbers that a write changes.
versions() {
  k1 get -f $install_yaml -o json | python3 -c '
import json, sys
for o in json.load(sys.stdin)["items"]:
    m = o["metadata"]
    if o["kind"] in ("Deployment", "PodDisruptionBudget", "CustomResourceDefinition"):  # controllers write their status
        print(o["kind"], m["name"], m.get("generation"))
    else:
        print(o["kind"], m.get("namespace"), m["name"], m["resourceVersion"])' | sort
}
field() { k1 -n multicluster-service-account get deployment service-account-import-controller -o jsonpath="{$1}"; }
secret_verbs() { k1 auth can-i --list --as=system:serviceaccount:multicluster-service-account:service-account-import-controller "$@" | grep -w secrets; }

check "install.yaml is the kustomize base" same_objects
for overlay in k8s/overlays/*/; do check "$overlay renders" kubectl kustomize "$overlay"; done
check "an overlay that serves every namespace" says ClusterRoleBinding sh -c 'kubectl kustomize k8s/overlays/cluster-wide | grep -B3 -A9 "name: service-account-import-controller-secrets"'
check "one without Secret verbs outside our namespace" lacks -secrets kubectl kustomize k8s/overlays/broker-delivery

# --- what the predecessor's v0.6.1 and its bootstrap leave behind
k1 apply -f $fixtures/install.yaml >/dev/null 2>"$work/errors" || cat "$work/errors"
k1 wait --for=condition=Established crd/serviceaccountimports.multicluster.admiralty.io --timeout=30s >/dev/null
k1 create -f $fixtures/run-time.yaml -f $fixtures/imports.yaml >/dev/null
uid=$(k1 get sai old-import -o jsonpath='{.metadata.uid}')
sed "s/UID/$uid/" $fixtures/secrets.yaml | k1 create -f - >/dev/null
k1 -n multicluster-service-account patch deployment service-account-import-controller --type=merge -p \
  '{"spec":{"template":{"metadata":{"annotations":{"multicluster.admiralty.io/service-account-import.name":"cluster2,cluster2"}}}}}' >/dev/null
deployment_uid=$(field .metadata.uid)

check "install.yaml applies over it" k1 apply -f $install_yaml
check "the Deployment is the same object" test "$(field .metadata.uid)" = "$deployment_uid"
check "with one container, ours" test "$(field '.spec.template.spec.containers[*].image')" = "multicluster-service-account/broker:$(sed -n 's/.*kVersion.. = "\(.*\)".*/\1/p' k8s/core/version.h)"
check "two replicas" test "$(field .spec.replicas)" = 2
check "its list of sources is still there" test "$(field '.spec.template.metadata.annotations.multicluster\.admiralty\.io/service-account-import\.name')" = cluster2,cluster2
check "the old imports are still there" test "$(k1 get sai -A -o name | wc -l)" = 2
check "with their status" test "$(k1 get sai old-import -o jsonpath='{.status.secrets[0].name}')" = old-import-token-abcde
check "and their Secrets" k1 get secret old-import-token-abcde
admission=service-account-import-admission-controller
webhook_field() { k1 -n multicluster-service-account-webhook get "$1" $admission -o jsonpath="{$2}"; }
check "the webhook's has one container too" test "$(webhook_field deployment '.spec.template.spec.containers[*].name')" = webhook
check "without the old certificate" test -z "$(webhook_field deployment '.spec.template.spec.volumes')"
check "its Service leads to the new port" test "$(webhook_field service '.spec.ports[*].targetPort')" = https
check "namespaces need no label" test -z "$(webhook_field mutatingwebhookconfiguration '.webhooks[*].namespaceSelector.matchLabels')"
check "one webhook is configured" test "$(webhook_field mutatingwebhookconfiguration '.webhooks[*].name')" = $admission.multicluster.admiralty.io
may_write_secrets() { k1 auth can-i update secrets -A --as=system:serviceaccount:multicluster-service-account-webhook:$admission; }
check "the webhook's account cannot write Secrets" fails_with 1 no may_write_secrets
check "no right on all Secrets is left" refused secret_verbs -n kube-system
check "Secrets of default are within its rights" secret_verbs -n default

# kubectl always sends a patch of a PodDisruptionBudget, whose selector it replaces as a whole, and of a webhook configuration
# whose matchLabels are null; nothing comes of it.
says_configured='^(poddisruptionbudget|mutatingwebhookconfiguration)'
changes_nothing() { k1 apply "$@" >"$work/applied" && ! grep -vE " unchanged\$|$says_configured" "$work/applied"; }
versions >"$work/before"
check "applying it again finds nothing to change" changes_nothing -f $install_yaml
check "nor does apply -k" changes_nothing -k k8s/manifests
versions >"$work/after"
check "and nothing was written" diff "$work/before" "$work/after"
# dry_pod NAMESPACE DEPLOYMENT: the pod that its ReplicaSets would create.
dry_pod() {
  k1 -n "$1" get deployment "$2" -o json | jq '{apiVersion: "v1", kind: "Pod", metadata: {generateName: "pod-"}, spec: .spec.template.spec}' |
    k1 -n "$1" create --dry-run=server -f -
}
for namespace in multicluster-service-account multicluster-service-account-webhook; do
  check "$namespace is restricted" test "$(k1 get namespace $namespace -o jsonpath='{.metadata.labels.pod-security\.kubernetes\.io/enforce}')" = restricted
  check "and its pods are admitted" dry_pod $namespace "$(k1 -n $namespace get deployment -o jsonpath='{.items[*].metadata.name}')"
done

# --- the roles that are applied by choice
check "aggregated-roles.yaml applies" k1 apply -f k8s/manifests/rbac/aggregated-roles.yaml
for role in view edit; do k1 create rolebinding $role --clusterrole=$role --user=$role >/dev/null; done
can() { k1 auth can-i "$2" sai --as="$1" "${@:3}"; }
eventually "who may edit a namespace may import into it" 10 can edit create
check "but not elsewhere" fails_with 1 no can edit create -n kube-system
eventually "who may view it sees its imports" 10 can view get
check "and makes none" fails_with 1 no can view create

# --- the broker on what is there: a source that only the predecessor's annotation names
k2 apply -f k8s/manifests/samples/account.yaml >/dev/null
kubemcsa bootstrap cluster1 cluster2 --source-server="$(k2 config view --minify -o jsonpath='{.clusters[0].cluster.server}')" 2>/dev/null
k1 -n multicluster-service-account label sai cluster2 multicluster.admiralty.io/source-cluster- >/dev/null
broker_kubeconfig
start_broker --source-imports=" cluster2,, cluster2"
eventually "the annotation's list makes it one" 20 has_reason old-import TokenIssued
old_secret_is_gone() { ! k1 get secret old-import-token-abcde; }
eventually "and the predecessor's Secret goes once ours is ready" 10 old_secret_is_gone
ca_is_published() { [[ $(webhook_field mutatingwebhookconfiguration '.webhooks[0].clientConfig.caBundle' | base64 -d) == *BEGIN\ CERTIFICATE* ]]; }
eventually "the webhook has a CA in the predecessor's Secret" 10 ca_is_published
stop_brokers

# --- one command: push to a registry and apply from it
port=$(free_port)
cat >"$work/registry.yaml" <<YAML
{version: 0.1, storage: {filesystem: {rootdirectory: $work/registry}}, http: {addr: "127.0.0.1:$port"}}
YAML
docker-registry serve "$work/registry.yaml" >"$work/registry.log" 2>&1 &
broker_pids+=($!)
registry=127.0.0.1:$port
eventually "a registry listens" 10 curl -fsS "http://$registry/v2/"
install_with() { k8s/install.sh --context cluster1 --registry "$registry" --wait 0 "$@"; }
check "a namespace that is not there is an error" says "create namespace team-a" install_with --namespaces team-a
k1 create namespace team-a >/dev/null
check "the command pushes and applies" install_with --namespaces=team-a
pushed() {
  local name digest
  while read -r name digest; do
    [[ $(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/$name") == "$digest" ]] || { echo "$name"; return 1; }
  done < <(tools/images -o json | jq -r '.[] | "\(.name) \(.digest)"')
}
check "every image is in the registry, with its digest" pushed
check "the Deployment names it by the digest" says "$registry/multicluster-service-account/broker@sha256:" field '.spec.template.spec.containers[*].image'
sidecar_image() { k1 -n multicluster-service-account-webhook get deployments -o jsonpath='{.items[*].spec.template.spec.containers[*].env[?(@.name=="SIDECAR_IMAGE")].value}'; }
check "and so does the webhook for the sidecar that it adds" says "$registry/multicluster-service-account/sidecar@sha256:" sidecar_image
check "the broker may keep Secrets in the namespace" secret_verbs -n team-a
check "the same command again changes nothing" lacks configured bash -o pipefail -c "k8s/install.sh --context cluster1 --registry $registry --wait 0 --namespaces team-a 2>&1 | grep -vE '$says_configured'"
check "an overlay of one's own is taken" says ClusterRoleBinding sh -c "k8s/install.sh --context cluster1 --registry $registry --overlay k8s/overlays/cluster-wide --print | grep -A9 'kind: ClusterRoleBinding' | grep -B9 controller-secrets"
