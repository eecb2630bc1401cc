#!/bin/bash
# kind: cluster
# Real clients against a real API server: which follows a renewed and a replaced token through which door, and whether
# docs/clients.md says so. tools/client-matrix runs it for all clients.
set -uo pipefail
. tests/integration/lib.sh

((UID == 0)) || { echo "SKIP clients: mount namespaces need root"; exit 0; }
install_broker
k2 apply -f k8s/manifests/samples/account.yaml >/dev/null
server2=$(k2 config view --minify -o jsonpath='{.clusters[0].cluster.server}')
kubemcsa bootstrap cluster1 cluster2 --source-server="$server2" 2>"$work/bootstrap" || { echo "FAIL bootstrap: $(<"$work/bootstrap")"; exit 1; }
broker_kubeconfig
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
start_broker --grpc-address="127.0.0.1:$port" --ca-propagation=1
import lister
eventually "an import becomes ready" 20 has_reason lister TokenIssued
eventually "and the broker's CA is there for sidecars" 20 k1 get configmap multicluster-service-account-ca
# shellcheck disable=SC2086 # a list
python3 tests/clients/matrix.py --broker-port="$port" ${MCSA_MATRIX_CLIENTS-kubectl go python cpp} >"$work/rows.json" || true
[[ -z ${MCSA_MATRIX_OUTPUT-} ]] || cp "$work/rows.json" "$MCSA_MATRIX_OUTPUT"
python3 -c '
import json, sys
for row in json.load(sys.stdin):
    print("PASS" if row["ok"] else "FAIL", "{client} {version}, {door}, {phase}: {result}".format(**row),
          "" if row["ok"] else "documented: {documented}; {said}".format(**row))' <"$work/rows.json" || echo "FAIL the matrix: no result"
