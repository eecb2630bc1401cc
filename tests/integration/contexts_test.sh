#!/bin/bash
# kind: cluster
# The broker on nothing but a user's kubeconfig: one context is the target, every other a source, without bootstrap.
set -uo pipefail
. tests/integration/lib.sh

install_broker
k1 apply -f k8s/manifests/samples/policy.yaml >/dev/null
k2 apply -f k8s/manifests/samples/account.yaml >/dev/null
kubectl config view --flatten >"$work/broker.kubeconfig"
kubectl --kubeconfig "$work/broker.kubeconfig" config set-context cluster_3 --cluster=cluster2 --user=admin@cluster2 >/dev/null
kubectl --kubeconfig "$work/broker.kubeconfig" config use-context cluster2 >/dev/null
start_broker --target-context=cluster1
import lister
eventually "an import of another context is ready" 20 has_reason lister TokenIssued
config_inline lister >"$work/inline"
check "its Secret is the account's" says system:serviceaccount:default:pod-lister kubectl --kubeconfig "$work/inline" auth whoami
k2 run hello --image=localhost/pause:1 >/dev/null
check "and lists cluster2's pods" says pod/hello kubectl --kubeconfig "$work/inline" get pods -o name
check "nobody registered it" lacks serviceaccountimport k1 -n multicluster-service-account get sai -o name
check "nor bootstrapped it" fails_with 1 'namespaces "multicluster-service-account" not found' k2 get namespace multicluster-service-account
check "a context whose name cannot be a source's is told" says '"context":"cluster_3"' grep "is no source" "$work/broker-0.log"
k1 apply -f - >/dev/null <<'YAML'
{apiVersion: multicluster.admiralty.io/v1alpha1, kind: ServiceAccountImport, metadata: {name: itself, namespace: default},
 spec: {clusterName: cluster1, namespace: default, name: default}}
YAML
eventually "the target is no source of its own" 10 has_reason itself UnknownSourceCluster
k2 delete serviceaccount pod-lister >/dev/null
eventually "an account that goes is noticed there too" 10 has_reason lister RemoteServiceAccountNotFound
