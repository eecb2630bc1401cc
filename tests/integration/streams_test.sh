#!/bin/bash
# kind: cluster
# A thousand streams: the replica that serves them is killed and they go on at the other, and a renewal reaches all of them.
set -uo pipefail
. tests/integration/lib.sh
. tests/integration/grpc_lib.sh

# At the one that is left more than the 1,024 descriptors that select() can wait for.
streams=${STREAMS-1200}
connect_clusters
start_grpc_broker
import lister
eventually "an import is ready" 30 has_reason lister TokenIssued
start_grpc_broker
eventually "a replica serves" 30 serves "${addresses[0]}"
eventually "and the other too" 30 serves "${addresses[1]}"
k1 get configmap multicluster-service-account-ca -o jsonpath='{.data.ca\.crt}' >"$work/ca.crt"

# Four streams a pod are allowed; each needs a token of its own pod.
pods=$(((streams + 3) / 4))
kubectl --context cluster1 proxy --port=0 >"$work/proxy" &
proxy_pid=$!
trap 'kill "$proxy_pid" "${holder_pid-}" 2>/dev/null; stop_brokers; rm -rf "$work"' EXIT
until grep -q Starting "$work/proxy"; do sleep 0.1; done
python3 - "http://$(sed 's/.* //' "$work/proxy")" "$pods" >"$work/tokens" <<'PYTHON'
import concurrent.futures, json, sys, urllib.request
base, count = sys.argv[1], int(sys.argv[2])
def post(path, body):
    request = urllib.request.Request(base + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))
def token(i):
    pod = post("/api/v1/namespaces/default/pods", {
        "metadata": {"name": f"app-{i}", "labels": {"multicluster.admiralty.io/injected": "true"}},
        "spec": {"containers": [{"name": "main", "image": "none"}],
                 "initContainers": [{"name": "mcsa-sidecar", "image": "none", "restartPolicy": "Always", "args": ["run", "--import=lister"]}]}})
    return post("/api/v1/namespaces/default/serviceaccounts/default/token", {"spec": {
        "audiences": ["multicluster-service-account"], "expirationSeconds": 3600,
        "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": f"app-{i}", "uid": pod["metadata"]["uid"]}}})["status"]["token"]
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    for text in pool.map(token, range(count)): print(text)
PYTHON
check "each pod has a token" test "$(wc -l <"$work/tokens")" = "$pods"

hold_streams --address="${addresses[0]}" --address="${addresses[1]}" --ca="$work/ca.crt" --tokens="$work/tokens" --count="$streams" >"$work/held" 2>"$work/held.err" &
holder_pid=$!
# held EXPRESSION: whether it is so of the last line, m.
held() { tail -1 "$work/held" | python3 -c "import json, sys; m = json.loads(sys.stdin.readline()); sys.exit(not ($1))"; }
rss() { awk '/^VmRSS/ {print $2}' "/proc/$1/status"; }
eventually "$streams streams are open" 120 held "m['latest'] == $streams"
echo "# resident: $(rss "${broker_pids[0]}") and $(rss "${broker_pids[1]}") KiB"

before=$(tail -1 "$work/held" | jq .messages)
k1 annotate --overwrite sai lister "multicluster.admiralty.io/renew-requested-at=$(date +%s.%N)" >/dev/null
eventually "a renewal reaches all of them" 5 held "m['latest'] == $streams and m['messages'] >= $before + $streams"
python3 - "$work" "$streams" "$before" <<'PYTHON'
import datetime, glob, json, sys
issued = max(datetime.datetime.fromisoformat(l["time"].replace("Z", "+00:00")).timestamp()
             for path in glob.glob(sys.argv[1] + "/broker-*.audit") for l in map(json.loads, open(path))
             if l["audit"] == "TokenIssued" and l["import"] == "default/lister")
took = next(m["time"] - issued for m in map(json.loads, open(sys.argv[1] + "/held")) if m["messages"] >= int(sys.argv[3]) + int(sys.argv[2]) and m["latest"] == int(sys.argv[2]))
print(f"# from its issue to the last of {sys.argv[2]}: {took * 1000:.0f} ms")
PYTHON

killed_at=$(date +%s.%N)
kill -9 "${broker_pids[0]}"
eventually "when their replica is killed all are at the other" 10 held "m['ended'] >= $streams / 2 and m['latest'] == $streams"
echo "# after $(python3 -c "import time; print(f'{time.time() - $killed_at:.1f}')") s; resident: $(rss "${broker_pids[1]}") KiB"
check "none was refused: they ended by what is UNAVAILABLE" eval "test -s $work/held.err && refused grep -v '^14: ' $work/held.err"

kill "$holder_pid"
wait "$holder_pid" 2>/dev/null || true
