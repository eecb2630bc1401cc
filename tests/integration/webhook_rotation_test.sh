#!/bin/bash
# kind: cluster
# takes: 7 min
# The webhook's CA is rotated while pods are created. ROTATIONS=1000 for the long form.
set -uo pipefail
. tests/integration/lib.sh
. tests/integration/webhook_lib.sh

connect_with_webhook
import rotation
eventually "the import is ready" 20 has_reason rotation TokenIssued

rotations=${ROTATIONS-200}
rotate() { python3 tests/integration/rotate_and_admit.py "$KUBECONFIG" "$@" | tee "$work/rotations"; return "${PIPESTATUS[0]}"; }
check "no admission fails in $rotations rotations" rotate "$rotations" $((rotations * 10))
cat "$work/rotations"
bundle() { k1 get mutatingwebhookconfiguration service-account-import-admission-controller -o jsonpath='{.webhooks[0].clientConfig.caBundle}' | base64 -d; }
check "the bundle stays short" test "$(bundle | grep -c BEGIN)" -le 8
check "each rotation had its certificate" test "$(grep -c 'new serving certificate' "$work/webhook.log")" -ge "$rotations"

# --- what is no rotation but a loss
k1 -n multicluster-service-account-webhook delete secret service-account-import-admission-controller-cert >/dev/null
eventually "a deleted CA is replaced" 20 k1 -n multicluster-service-account-webhook get secret service-account-import-admission-controller-cert
sees() { pod "$(asks rotation)" | mounts app | grep -qx rotation; }
eventually "and pods are admitted with it" 20 sees
k1 patch mutatingwebhookconfiguration service-account-import-admission-controller --type=json \
  -p '[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]' >/dev/null
eventually "a caBundle that was taken away is put back" 20 sees
check "no key is in a log" refused grep -qs 'PRIVATE KEY' "$work/webhook.log" "$work"/broker-*.log
