# Sourced by the test scripts of pods on nodes, after lib.sh: Jobs that ask for an import.

version=$(sed -n 's/.*kVersion.. = "\(.*\)".*/\1/p' k8s/core/version.h)
prefix=multicluster.admiralty.io/service-account-import
sai=cluster2-default-pod-lister
client=multicluster-service-account/multicluster-client:$version

# job NAME [ANNOTATIONS] [SECURITY]: a Job of multicluster-client that asks for the import, on standard output.
job() {
  cat <<YAML
apiVersion: batch/v1
kind: Job
metadata: {name: $1, namespace: default}
spec:
  template:
    metadata: {annotations: {$prefix.name: ${import-$sai}${2:+, $2}}}
    spec:
      restartPolicy: Never
      securityContext: {${3-}}
      containers: [{name: client, image: "$client", securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]
YAML
}
completed() { [[ $(k1 get job "$1" -o jsonpath='{.status.conditions[?(@.type=="Complete")].status}') == True ]]; }
# hears JOB TEXT: the Job's controller could not create a pod, and its event tells why.
hears() { says "$2" k1 get events --field-selector "reason=FailedCreate,involvedObject.name=$1" -o jsonpath='{.items[*].message}'; }

# connect: our parts on the nodes, an account in cluster2 that sees one pod, nginx, and its import, ready.
connect() {
  check "install and bootstrap" outside tools/clusters install
  k2 apply -f k8s/manifests/samples/account.yaml >/dev/null
  k2 run nginx --image=localhost/pause:1 >/dev/null
  k1 apply -f k8s/manifests/samples/import.yaml >/dev/null
  eventually "the import is ready" 20 has_reason $sai TokenIssued
}
