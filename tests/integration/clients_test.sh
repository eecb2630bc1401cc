#!/bin/bash
# kind: cluster
# takes: 5 min
# Real clients against a real API server: which follows a renewed and a replaced token through which door, and whether
# docs/clients.md says so. tools/client-matrix runs it for all clients.
set -uo pipefail
. tests/integration/lib.sh

((UID == 0)) || { echo "SKIP clients: mount namespaces need root"; exit 0; }
connect_clusters
port=$(free_port)
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
