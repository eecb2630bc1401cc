#!/bin/bash
# kind: cluster
# Two admins who share no kubeconfig connect their clusters: each applies a half that holds no token, and the source's
# hands a credential over.
set -uo pipefail
. tests/integration/lib.sh

install_broker
k2 apply -f k8s/manifests/samples/account.yaml >/dev/null
server2=$(k2 config view --minify -o jsonpath='{.clusters[0].cluster.server}')
kubectl config view --minify --flatten --context=cluster1 >"$work/target"
kubectl config view --minify --flatten --context=cluster2 >"$work/source"
at_target() { KUBECONFIG=$work/target "$@"; }
at_source() { KUBECONFIG=$work/source "$@"; }
# Neither has the other's context.
at_source kubectl config set-context cluster1 --cluster=cluster2 --user=none >/dev/null

check "the source's admin prints a half" eval 'at_source kubemcsa bootstrap --target-name=cluster1 --source-context=cluster2 --print source >"$work/source.json"'
check "the target's admin prints the other" eval 'at_target kubemcsa bootstrap --target-context=cluster1 --source-name=cluster2 --print target >"$work/target.json"'
check "which leaves the policies to him" refused grep -q ServiceAccountImportPolicy "$work/target.json"
check "neither holds a token" refused grep -q 'ey[A-Za-z0-9_-]*\.ey' "$work/source.json" "$work/target.json"
check "the source's admin applies one" at_source kubectl apply --server-side -f "$work/source.json"
check "and exports a credential" eval 'at_source kubemcsa export cluster1 -n multicluster-service-account --as cluster2 --source-server="$server2" >"$work/credential.json"'
broker_kubeconfig
start_broker
check "the target's admin applies the other" at_target kubectl apply --server-side -f "$work/target.json"
check "and says what may be imported" at_target kubectl apply -f k8s/manifests/samples/policy.yaml
import lister
eventually "an import waits for the credential" 10 has_reason lister SourceCredentialInvalid
check "the target's admin applies the credential" at_target kubectl -n multicluster-service-account apply -f "$work/credential.json"
eventually "the broker takes it, and gets one of its own" 40 has_reason cluster2 TokenIssued multicluster-service-account
eventually "the import is ready" 5 has_reason lister TokenIssued
check "what was handed over can go" at_target kubectl -n multicluster-service-account delete secret cluster2
check "the broker renews without it" kubemcsa renew lister --context cluster1 -n default

# --- the end, as one of them sees it
check "the source's admin ends it" at_source kubemcsa unbootstrap --source-only --target-name=cluster1 --source-context=cluster2
check "which the source then says" fails_with 1 "knows no target cluster1" at_source kubemcsa unbootstrap --source-only --target-name=cluster1 --source-context=cluster2
check "the target's admin too" at_target kubemcsa unbootstrap --target-only --target-context=cluster1 --source-name=cluster2
check "and the source is no longer registered" refused k1 -n multicluster-service-account get sai cluster2
