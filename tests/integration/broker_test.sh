#!/bin/bash
# kind: cluster
# The broker as two plain processes with its own rights, between two real API servers: from import to Secret, and what
# users and outages do to it.
set -uo pipefail
. tests/integration/lib.sh

connect_clusters
start_broker
start_broker

# --- import to Secret
import lister
eventually "an import becomes ready" 20 has_reason lister TokenIssued
check "its Secret has the six keys" has_keys lister "ca.crt config config-inline namespace server token"
check "exactly one Secret carries its label" test "$(k1 get secret -l multicluster.admiralty.io/service-account-import.name=lister -o name | wc -l)" = 1
config_inline lister >"$work/inline"
check "config-inline lists cluster2's pods" kubectl --kubeconfig "$work/inline" get pods
check "and may nothing else" refused kubectl --kubeconfig "$work/inline" get secrets
eventually "the broker renewed its own credential for 30 days" 20 lives_longer cluster2 multicluster-service-account $((29 * 86400))

# --- renewal
before=$(status_field lister tokenId)
check "renew replaces the token" kubemcsa renew lister --context cluster1 -n default
check "with one of another id" test "$(status_field lister tokenId)" != "$before"

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
check "the API refuses the broker Secrets there" refused kubectl --kubeconfig "$work/broker.kubeconfig" -n team-a get secrets
k1 -n team-a create rolebinding service-account-import-controller-secrets --clusterrole=service-account-import-controller-secrets \
  --serviceaccount=multicluster-service-account:service-account-import-controller >/dev/null
eventually "its RoleBinding is noticed; then the policy counts" 60 has_reason lister NotAllowedByPolicy team-a
check "the schema refuses a cluster_2" refused k1 patch sai lister --type=merge -p '{"spec":{"clusterName":"cluster_2"}}'
long=$(printf 'a%.0s' {1..200}).b
import "$long"
eventually "a name of 202 characters with a dot is ready" 10 has_reason "$long" TokenIssued

# --- revocation
k1 delete saip namespace-sameness >/dev/null
eventually "without a policy the credential goes" 10 has_keys lister "ca.crt namespace server"
eventually "and the import says so" 5 is_revoked lister PolicyWithdrawn
k1 apply -f k8s/manifests/samples/policy.yaml >/dev/null
eventually "with the policy it comes back" 10 has_reason lister TokenIssued
config_inline lister >"$work/inline"
k2 delete serviceaccount pod-lister >/dev/null
eventually "without its account the credential goes" 10 has_keys lister "ca.crt namespace server"
eventually "and the old token is refused" 15 refused kubectl --kubeconfig "$work/inline" auth whoami
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
kill -9 "${holder##*_}"
wait "${holder##*_}" 2>/dev/null
import after-failover
eventually "after kill -9 of the leader the other takes over" 20 has_reason after-failover TokenIssued

# --- no token anywhere it should not be
k1 get sai,events -A -o json >"$work/objects"
k1 get secret -A -o json | python3 -c '
import base64, json, sys
for s in json.load(sys.stdin)["items"]:
    t = base64.b64decode(s.get("data", {}).get("token", "")).decode()
    if t.count(".") == 2: print(t.split(".")[2])' >"$work/signatures"
check "there are tokens to look for" test -s "$work/signatures"
check "no log, audit line, event or status holds a token" refused grep -qFf "$work/signatures" "$work/objects" "$work"/broker-*.log "$work"/broker-*.audit
check "the broker's identity reads no Secret in cluster2" refused k2 auth can-i get secrets --all-namespaces \
  --as=system:serviceaccount:multicluster-service-account:cluster1 -q
