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
start_broker
import lister
eventually "an import becomes ready" 20 has_reason lister TokenIssued
# shellcheck disable=SC2086 # a list
python3 tests/clients/matrix.py ${MCSA_MATRIX_CLIENTS-kubectl go python cpp} >"$work/rows.json" || true
[[ -z ${MCSA_MATRIX_OUTPUT-} ]] || cp "$work/rows.json" "$MCSA_MATRIX_OUTPUT"
python3 -c '
import json, sys
for row in json.load(sys.stdin):
    print("PASS" if row["ok"] else "FAIL", "{client} {version}, {door}, {phase}: {result}".format(**row),
          "" if row["ok"] else "documented: {documented}; {said}".format(**row))' <"$work/rows.json" || echo "FAIL the matrix: no result"
