#!/bin/bash
# kind: cluster
# The fence in the source lets the broker have no token of an account that could take over the cluster, by whichever
# right; and of any other account it does.
set -uo pipefail
. tests/integration/lib.sh

connect_clusters
mint() { k2 --as=system:serviceaccount:multicluster-service-account:cluster1 create token "$@"; }

write=(create update patch)
# grant NAME GROUP RESOURCE VERB: appends to the manifest an account, a ClusterRole with this one right, and its binding.
grant() {
  cat <<YAML
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: $1, namespace: default}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: $1}, rules: [{apiGroups: ["$2"], resources: ["$3"], verbs: ["$4"]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: $1},
 roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: $1}, subjects: [{kind: ServiceAccount, name: $1, namespace: default}]}
YAML
}
rights=()
# may GROUP RESOURCE VERB...
may() {
  local verb
  for verb in "${@:3}"; do rights+=("right-${#rights[@]} $1 $2 $verb"); done
}
rbac=rbac.authorization.k8s.io admission=admissionregistration.k8s.io
may core secrets get list watch
may core serviceaccounts/token create
for who in users groups serviceaccounts; do may core $who impersonate; done
for role in roles clusterroles; do may $rbac $role escalate bind; done
may core pods "${write[@]}"
may core pods/exec create get
may core pods/ephemeralcontainers update patch
may core replicationcontrollers "${write[@]}"
for workload in deployments daemonsets statefulsets replicasets; do may apps $workload "${write[@]}"; done
for workload in jobs cronjobs; do may batch $workload "${write[@]}"; done
may core nodes/proxy create get
for kind in mutatingwebhookconfigurations validatingwebhookconfigurations mutatingadmissionpolicies; do may $admission $kind "${write[@]}"; done
for sub in approval status; do may certificates.k8s.io certificatesigningrequests/$sub update patch; done
for right in "${rights[@]}"; do
  read -r name group resource verb <<<"$right"
  grant "$name" "${group/core/}" "$resource" "$verb"
done >"$work/rights.yaml"
k2 apply --server-side -f "$work/rights.yaml" >/dev/null
k2 create serviceaccount admin >/dev/null
k2 create clusterrolebinding admin --clusterrole=cluster-admin --serviceaccount=default:admin >/dev/null

check "of a cluster-admin" fails_with 1 "could take over the cluster" mint admin
for right in "${rights[@]}"; do
  read -r name group resource verb <<<"$right"
  check "of one that may $verb $resource in all namespaces" fails_with 1 "default/$name may $verb $resource, and so could take over the cluster" mint "$name"
done

# --- and no others
minted() { [[ $(mint "$@" 2>&1) == ey*.*.* ]]; }
for role in view edit; do
  k2 create serviceaccount "$role" >/dev/null
  k2 create rolebinding "$role" --clusterrole=$role --serviceaccount=default:$role >/dev/null
  check "one that may $role in its namespace is none of them" minted "$role"
done
k2 create clusterrolebinding view --clusterrole=view --serviceaccount=default:view >/dev/null
check "nor is one that may view in all namespaces" minted view
k2 create clusterrolebinding edit --clusterrole=edit --serviceaccount=default:edit >/dev/null
check "but one that may edit there" fails_with 1 "could take over the cluster" mint edit
check "unless the admin says so" kubemcsa allow --powerful default/edit --target-name=cluster1 --context=cluster2
check "by name" minted edit
check "and for no other" fails_with 1 "could take over the cluster" mint admin
check "unbootstrap leaves no part of the fence" eval 'kubemcsa unbootstrap cluster1 cluster2 && [[ -z $(k2 get validatingadmissionpolicies,validatingadmissionpolicybindings -o name | grep mcsa) ]]'
