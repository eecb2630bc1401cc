#!/bin/bash
# kind: cluster
# A source without ValidatingAdmissionPolicies, as those below Kubernetes 1.30: no fence, so that --only is all that
# limits the broker.
set -uo pipefail
. tests/integration/lib.sh
. tests/integration/api_server.sh

old=$MCSA_CLUSTERS_DIR/cluster2
stop_api_server "$old"
start_api_server "$old" --disable-admission-plugins=ValidatingAdmissionPolicy \
  --runtime-config=admissionregistration.k8s.io/v1/validatingadmissionpolicies=false,admissionregistration.k8s.io/v1/validatingadmissionpolicybindings=false
install_broker
k2 apply -f k8s/manifests/samples/account.yaml >/dev/null
k2 create namespace team-a >/dev/null
k2 create serviceaccount other >/dev/null
for name in one two; do k2 -n team-a create serviceaccount $name >/dev/null; done
server2=$(k2 config view --minify -o jsonpath='{.clusters[0].cluster.server}')
bootstrap() { kubemcsa bootstrap cluster1 cluster2 --source-server="$server2" "$@"; }
source2=(--context=cluster2 --target-name=cluster1)
mint() { k2 --as=system:serviceaccount:multicluster-service-account:cluster1 create token "$@"; }
minted() { [[ $(mint "$@" 2>&1) == ey*.*.* ]]; }
not_granted() { says "cannot create resource \"serviceaccounts/token\"" mint "$@"; }
grants() { k2 get roles,rolebindings,clusterroles,clusterrolebindings -A -o name | grep mcsa:cluster1; }

check "the server is such a one" says "the server doesn't have a resource type" k2 get validatingadmissionpolicies
check "bootstrap asks for --only" fails_with 2 "--only=NAMESPACE" bootstrap
check "so does --print source" fails_with 2 "--only=NAMESPACE" bootstrap --print source
check "nothing was granted by all that" refused grants
check "with it kubectl takes the source's half" eval 'bootstrap --only=default/other --print source | k2 apply --server-side -f -'
check "which grants that account" minted other
check "and no other" not_granted pod-lister

check "bootstrap with --only" bootstrap --only=default/pod-lister,default/other,team-a
check "grants one account" minted pod-lister
check "and those of a namespace" minted one -n team-a
check "and nothing else" not_granted default
check "a repair keeps that" eval 'bootstrap && minted one -n team-a && not_granted default'
check "a narrower --only takes grants back" eval 'bootstrap --only=default/pod-lister,team-a && not_granted other'
check "allow adds an account" eval 'kubemcsa allow default/other "${source2[@]}" && minted other'
check "deny takes it back" eval 'kubemcsa deny default/other "${source2[@]}" && not_granted other'
check "deny does not claim what only a fence could do" fails_with 1 "team-a as a whole" kubemcsa deny team-a/one "${source2[@]}"
check "and changes nothing" minted one -n team-a
check "a namespace can be taken back" eval 'bootstrap --only=default/pod-lister && not_granted one -n team-a'
check "the last account cannot be denied" fails_with 1 "kubemcsa unbootstrap" kubemcsa deny default/pod-lister "${source2[@]}"
check "which leaves it as it was" minted pod-lister
check "--all is refused" fails_with 2 "--only=NAMESPACE" bootstrap --all
bootstrap --only=default/pod-lister,team-a >/dev/null 2>&1
check "unbootstrap takes everything back" kubemcsa unbootstrap cluster1 cluster2
check "in every namespace" refused grants
