#!/bin/bash
# kind: cluster
# The broker as two plain processes with its own rights, between two real API servers: from import to Secret, and what
# users and outages do to it.
set -uo pipefail
. tests/integration/lib.sh

# schema_refuses WHY OBJECT SPEC
schema_refuses() { fails_with 1 "$1" k1 patch $2 --type=merge --dry-run=server -p "{\"spec\":$3}"; }
# audited ACTION TOKEN FILTER: whether one line of the audit logs is about that token of the import lister, and as in FILTER.
audited() {
  cat "$work"/broker-*.audit | jq -se --arg action "$1" --arg uid "$lister_uid" --arg token "$2" \
    "map(select(.audit == \$action and .import == \"default/lister\" and .importUid == \$uid and .tokenId == \$token and ($3))) | length == 1"
}
keep_metrics() {
  local n port
  for n in "${!broker_pids[@]}"; do
    port=$(sed -n 's/.*"metricsPort":"\([0-9]*\)".*/\1/p' "$work/broker-$n.log")
    curl -sS "http://127.0.0.1:$port/metrics" >"$work/metrics-$n" || return
  done
}
# Of all tokens that are in Secrets now, to be looked for in the end.
keep_signatures() {
  k1 get secret -A -o json | jq -r '.items[].data.token // empty | @base64d | split(".") | select(length == 3)[2]' >>"$work/signatures"
}

connect_clusters
start_broker --metrics-address=127.0.0.1:0
start_broker --metrics-address=127.0.0.1:0

# --- import to Secret
import lister
eventually "an import becomes ready" 20 has_reason lister TokenIssued
lister_uid=$(k1 get sai lister -o jsonpath='{.metadata.uid}')
check "the audit log says whose token, and by which rule" audited TokenIssued "$(status_field lister tokenId)" \
  '.rule == "namespace-sameness[0]" and .cluster == "cluster2" and .account == "default/pod-lister"'
check "its Secret has the six keys" has_keys lister "ca.crt config config-inline namespace server token"
check "exactly one Secret carries its label" test "$(k1 get secret -l multicluster.admiralty.io/service-account-import.name=lister -o name | wc -l)" = 1
config_inline lister >"$work/inline"
check "config-inline lists cluster2's pods" kubectl --kubeconfig "$work/inline" get pods
check "and may nothing else" refused kubectl --kubeconfig "$work/inline" get secrets
eventually "the broker renewed its own credential for 30 days" 20 lives_longer cluster2 multicluster-service-account $((29 * 86400))

# --- renewal
keep_signatures
before=$(status_field lister tokenId)
check "renew replaces the token" kubemcsa renew lister --context cluster1 -n default
check "with one of another id" test "$(status_field lister tokenId)" != "$before"
keep_signatures

# --- what users do to the Secret
secret=$(secret_of lister)
k1 patch secret "$secret" -p '{"stringData":{"server":"https://evil.example"}}' >/dev/null
eventually "an edited Secret is restored" 10 secret_holds "$secret" server "$server2"
k1 delete secret "$secret" >/dev/null
eventually "a deleted Secret is made again" 10 k1 get secret "$secret"
k1 create secret generic users-own --from-literal=token=mine >/dev/null
k1 label secret users-own multicluster.admiralty.io/service-account-import.name=lister app.kubernetes.io/managed-by=multicluster-service-account >/dev/null
import lister default "expirationSeconds: 700"
sleep 2
check "a user's Secret with our labels keeps its data" secret_holds users-own token mine

# --- what is refused, and why
import delivered default "delivery: Broker"
eventually "delivery Broker needs no Secret" 10 has_reason delivered IssuedOnDemand
k1 apply -f - >/dev/null <<'YAML'
apiVersion: multicluster.admiralty.io/v1alpha1
kind: ServiceAccountImport
metadata: {name: unknown, namespace: default}
spec: {clusterName: nowhere, namespace: default, name: pod-lister}
---
apiVersion: multicluster.admiralty.io/v1alpha1
kind: ServiceAccountImport
metadata: {name: missing, namespace: default}
spec: {clusterName: cluster2, namespace: default, name: nobody}
---
apiVersion: multicluster.admiralty.io/v1alpha1
kind: ServiceAccountImport
metadata: {name: elsewhere, namespace: default}
spec: {clusterName: cluster2, namespace: kube-system, name: default}
YAML
eventually "an unknown source is named" 10 has_reason unknown UnknownSourceCluster
eventually "a missing account is named" 10 has_reason missing RemoteServiceAccountNotFound
eventually "another namespace needs a policy" 10 has_reason elsewhere NotAllowedByPolicy
k2 create serviceaccount nobody >/dev/null
eventually "an account made later is noticed" 10 has_reason missing TokenIssued
k1 create namespace team-a >/dev/null
import lister team-a
eventually "a namespace without rights is named" 10 has_reason lister NamespaceNotServed team-a
check "the API refuses the broker Secrets there" fails_with 1 'cannot list resource "secrets"' kubectl --kubeconfig "$work/broker.kubeconfig" -n team-a get secrets
serve_namespace team-a
eventually "its RoleBinding is noticed; then the policy counts" 60 has_reason lister NotAllowedByPolicy team-a
for seconds in 600 86400; do
  check "the schema takes $seconds s" k1 patch sai lister --type=merge --dry-run=server -p "{\"spec\":{\"expirationSeconds\":$seconds}}"
done
check "not 599 s" schema_refuses "greater than or equal to 600" "sai lister" '{"expirationSeconds":599}'
check "nor 86401 s" schema_refuses "less than or equal to 86400" "sai lister" '{"expirationSeconds":86401}'
check "nor a delivery of its own" schema_refuses 'Unsupported value: "Mail"' "sai lister" '{"delivery":"Mail"}'
check "nor a cluster_2" schema_refuses 'clusterName: Invalid value: "cluster_2": must be a DNS-1123 subdomain' "sai lister" '{"clusterName":"cluster_2"}'
check "nor a namespace A" schema_refuses 'namespace: Invalid value: "A": must be a DNS-1123 label' "sai lister" '{"namespace":"A"}'
one_form="exactly one of sameNamespace and sourceNamespaces must be set"
check "nor a policy's rule without source namespaces" schema_refuses "$one_form" "saip namespace-sameness" '{"rules":[{}]}'
check "nor one with both forms of them" schema_refuses "$one_form" "saip namespace-sameness" \
  '{"rules":[{"sameNamespace":true,"sourceNamespaces":["default"]}]}'
long=$(printf 'a%.0s' {1..200}).b
import "$long"
eventually "a name of 202 characters with a dot is ready" 10 has_reason "$long" TokenIssued

# --- revocation
before=$(status_field lister tokenId)
k1 delete saip namespace-sameness >/dev/null
eventually "without a policy the credential goes" 10 has_keys lister "ca.crt namespace server"
eventually "and the import says so" 5 is_revoked lister PolicyWithdrawn
check "and the audit log which token went" audited TokenRevoked "$before" true
k1 apply -f k8s/manifests/samples/policy.yaml >/dev/null
eventually "with the policy it comes back" 10 has_reason lister TokenIssued
keep_signatures
config_inline lister >"$work/inline"
check "and works" kubectl --kubeconfig "$work/inline" auth whoami
k2 delete serviceaccount pod-lister >/dev/null
eventually "without its account the credential goes" 10 has_keys lister "ca.crt namespace server"
# The API server remembers a token that it found good for 10 s.
eventually "and the old token is refused" 11 says Unauthorized kubectl --kubeconfig "$work/inline" auth whoami
k2 create serviceaccount pod-lister >/dev/null
eventually "a new account gets a new token" 10 has_reason lister TokenIssued
k1 delete sai lister >/dev/null
# The garbage collector learns of a new kind within half a minute.
eventually "a deleted import takes its Secret along" 60 refused k1 get secret "$secret"

# --- a source that cannot be reached and is then removed
clone_source dead https://192.0.2.1:6443
k1 apply -f - >/dev/null <<'YAML'
apiVersion: multicluster.admiralty.io/v1alpha1
kind: ServiceAccountImport
metadata: {name: dead, namespace: default}
spec: {clusterName: dead, namespace: default, name: pod-lister}
YAML
eventually "an import of a source out of reach says so" 30 has_reason dead SourceUnreachable
k1 -n multicluster-service-account delete sai dead >/dev/null
eventually "a source removed at run time is unknown" 15 has_reason dead UnknownSourceCluster

# --- two replicas
holder=$(k1 -n multicluster-service-account get lease service-account-import-controller -o jsonpath='{.spec.holderIdentity}')
keep_metrics
kill -9 "${holder##*_}"
wait "${holder##*_}" 2>/dev/null
import after-failover
eventually "after kill -9 of the leader the other takes over" 20 has_reason after-failover TokenIssued

# --- no token anywhere it should not be
k1 get sai,events -A -o json >"$work/objects"
keep_signatures
check "there are tokens to look for, gone ones too" test "$(sort -u "$work/signatures" | wc -l)" -gt \
  "$(k1 get secret -A -l app.kubernetes.io/managed-by=multicluster-service-account -o name | wc -l)"
check "and metrics" grep -q '^mcsa_imports{' "$work/metrics-0"
check "no log, audit line, metric, event or status holds a token" refused grep -qFf "$work/signatures" \
  "$work/objects" "$work"/metrics-* "$work"/broker-*.log "$work"/broker-*.audit
check "the broker's identity reads no Secret in cluster2" may_not k2 get secrets --all-namespaces \
  --as=system:serviceaccount:multicluster-service-account:cluster1
