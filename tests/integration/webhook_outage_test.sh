#!/bin/bash
# kind: node
# What pods meet while the webhook is restarted and its CA rotated, while it is away, and while its configuration is gone.
set -uo pipefail
. tests/integration/lib.sh
. tests/integration/pods_lib.sh

webhook=service-account-import-admission-controller

webhook() { k1 -n multicluster-service-account-webhook "$@"; }
broker() { k1 -n multicluster-service-account "$@"; }

runs() { k1 -n "${2-default}" wait --for=condition=Ready "pod/$1" --timeout=1s; }
plain() { k1 -n "${2-default}" run "$1" --image=localhost/pause:1 --restart=Never; }

connect
check "the broker is told that a CA spreads in 5 s" broker patch deployment service-account-import-controller --type=json \
  -p '[{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--ca-propagation=5"}]'

# --- the webhook is restarted and its CA rotated, while pods are created
check "the broker's replicas are the new ones" broker rollout status deployment --timeout=60s
# Creates pods until $work/enough is there.
create_pods() {
  local i=0
  until [[ -e $work/enough && $i -ge 50 ]]; do
    i=$((i + 1))
    k1 create -f - >/dev/null 2>>"$work/failed" <<YAML || echo "pod $i" >>"$work/failed"
apiVersion: v1
kind: Pod
metadata: {name: pending-$i, namespace: default, labels: {app: pending}, annotations: {$prefix.name: $sai}}
spec: {nodeSelector: {of: nowhere}, containers: [{name: app, image: i}]}
YAML
  done
}
: >"$work/failed"
create_pods &
creator=$!
ca() { webhook get secret $webhook-cert -o jsonpath='{.data.ca\.crt}' | base64 -d; }
first=$(ca)
webhook annotate secret $webhook-cert multicluster.admiralty.io/rotate-requested-at="$(date)" >/dev/null
check "the webhook is restarted" webhook rollout restart deployment $webhook
signs_anew() { [[ $(ca) != "$first" ]]; }
eventually "its CA is another" 40 signs_anew
check "and all its replicas" webhook rollout status deployment --timeout=90s
touch "$work/enough"
wait $creator
check "meanwhile no pod was refused" refused grep . "$work/failed"
bare() {
  k1 get pods -l app=pending -o json | jq -r --arg path "/var/run/secrets/admiralty.io/serviceaccountimports/$sai" \
    '.items[] | select(any(.spec.containers[0].volumeMounts[]; .mountPath == $path) | not) | .metadata.name'
}
created=$(k1 get pods -l app=pending -o name | wc -l)
check "at least 50 came ($created)" test "$created" -ge 50
check "each with its mounts" test -z "$(bare)"
k1 delete pods -l app=pending --grace-period=0 --force >/dev/null 2>&1

# --- the webhook is away
webhook scale deployment $webhook --replicas=0 >/dev/null
check "the webhook is scaled to none" webhook wait --for=delete pod -l app=$webhook --timeout=60s
plain other >/dev/null
plain other kube-system >/dev/null
job away | k1 apply -f - >/dev/null
eventually "a pod that asks for nothing starts" 30 runs other
eventually "so does one in kube-system" 30 runs other kube-system
eventually "who asks hears whose webhook fails" 20 hears away "$webhook.multicluster.admiralty.io"
k1 delete mutatingwebhookconfiguration $webhook >/dev/null
job gone | k1 apply -f - >/dev/null
eventually "without its configuration the guard answers" 20 hears gone "is the webhook $webhook installed and running?"
check "our broker's pods are deleted" broker delete pods --all --grace-period=1
check "and new ones become ready" broker rollout status deployment --timeout=60s
check "the manifests are applied again" k1 apply -k k8s/manifests
eventually "the Job that the API server refused completes" 90 completed away
eventually "and the one that the guard refused" 90 completed gone
check "no log holds a token" lacks eyJ k1 logs -l batch.kubernetes.io/job-name --tail=-1
