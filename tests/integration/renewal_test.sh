#!/bin/bash
# kind: long
# For 25 real minutes (RENEWAL_SECONDS) a client calls cluster2 each second with a token that lives 10, read from its file
# anew each time, as a pod would. It never meets a refusal, though the first token is long dead at the end.
set -uo pipefail
. tests/integration/lib.sh

seconds=${RENEWAL_SECONDS-1500}
connect_clusters
start_broker
start_broker
import lister default "expirationSeconds: 600"
eventually "the import becomes ready" 20 has_reason lister TokenIssued
check "its token lives 10 minutes" refused lives_longer lister default 600

mkdir "$work/files"
start_helper python3 tests/integration/mirror_secret.py cluster1 "$(secret_of lister)" "$work/files"
eventually "the token is in its file" 10 test -s "$work/files/token"

python3 tests/integration/calling_client.py "$work/files" "$seconds" >"$work/calls"
echo "# $(<"$work/calls")" >&2
count() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/calls" "$1"; }
# Of the source's own record: whom it let list pods as that account.
token_ids=$(python3 - "$MCSA_CLUSTERS_DIR/cluster2/audit.log" <<'PYTHON'
import json, sys
ids = set()
for line in open(sys.argv[1]):
    event = json.loads(line)
    if event["user"]["username"] == "system:serviceaccount:default:pod-lister" and event["responseStatus"]["code"] == 200:
        ids.update(event["user"].get("extra", {}).get("authentication.kubernetes.io/credential-id", []))
print(len(ids))
PYTHON
)
echo "# $token_ids token ids in the audit log of cluster2" >&2
check "no call was refused" test "$(count refused)" = 0
check "nearly each second had its answer" test "$(count answered)" -ge $((seconds * 14 / 15))
check "the first token is dead by now" test "$(count first_token_ended)" = True
check "the source saw one token after another" test "$token_ids" -ge $((seconds * 4 / 1500))
