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
# One whose plugin has nothing to print before somebody logs in, and then prints a client certificate.
printf 'cat "%s" 2>/dev/null || exit 7\n' "$work/login" >"$work/plugin"
kubectl --kubeconfig "$work/broker.kubeconfig" config set-credentials late --exec-command=sh --exec-arg="$work/plugin" --exec-api-version=client.authentication.k8s.io/v1 >/dev/null
kubectl --kubeconfig "$work/broker.kubeconfig" config set-context late --cluster=cluster2 --user=late >/dev/null
# And two that nothing can be done with before the broker starts again.
kubectl --kubeconfig "$work/broker.kubeconfig" config set-cluster no-ca --server=https://127.0.0.1:1 --certificate-authority="$work/no-ca.crt" >/dev/null
kubectl --kubeconfig "$work/broker.kubeconfig" config set-context no-file --cluster=no-ca --user=late >/dev/null
kubectl --kubeconfig "$work/broker.kubeconfig" config set-context no-cluster --cluster=nowhere --user=late >/dev/null
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
for context in no-file no-cluster; do
  k1 apply -f - >/dev/null <<YAML
{apiVersion: multicluster.admiralty.io/v1alpha1, kind: ServiceAccountImport, metadata: {name: $context, namespace: default},
 spec: {clusterName: $context, namespace: default, name: pod-lister}}
YAML
  eventually "an import of context $context says that it is of no use" 10 has_reason $context SourceCredentialInvalid
done
check "and names the file" says "no-ca.crt" k1 get sai no-file -o jsonpath='{.status.conditions[?(@.type=="Ready")].message}'
check "of the other, what to do" says "mend that context" k1 get sai no-cluster -o jsonpath='{.status.conditions[?(@.type=="Ready")].message}'
k2 delete serviceaccount pod-lister >/dev/null
eventually "an account that goes is noticed there too" 10 has_reason lister RemoteServiceAccountNotFound

# --- the plugin that failed when the broker started
k2 create serviceaccount pod-lister >/dev/null
k1 apply -f - >/dev/null <<'YAML'
{apiVersion: multicluster.admiralty.io/v1alpha1, kind: ServiceAccountImport, metadata: {name: late, namespace: default},
 spec: {clusterName: late, namespace: default, name: pod-lister}}
YAML
eventually "an import of a context that cannot log in says so" 10 has_reason late SourceCredentialInvalid
check "and why" says "sh exited with status 7" k1 get sai late -o jsonpath='{.status.conditions[?(@.type=="Ready")].message}'
check "the log does, too" says "sh exited with status 7" grep '"cluster":"late"' "$work/broker-0.log"
eventually "another context serves on" 20 has_reason lister TokenIssued
kubectl config view --raw --flatten -o json | jq '.users[] | select(.name == "admin@cluster2") | .user |
  {kind: "ExecCredential", apiVersion: "client.authentication.k8s.io/v1", status: {
    clientCertificateData: .["client-certificate-data"] | @base64d, clientKeyData: .["client-key-data"] | @base64d}}' >"$work/login.new"
mv "$work/login.new" "$work/login"
eventually "when somebody has logged in, the import is ready" 90 has_reason late TokenIssued
check "the log tells of it" says "a source can be used again" grep '"cluster":"late"' "$work/broker-0.log"
check "without the key" lacks "PRIVATE KEY" cat "$work/broker-0.log"
