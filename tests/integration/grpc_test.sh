#!/bin/bash
# kind: cluster
# The broker's gRPC API as a pod's sidecar meets it: who gets what, how soon changes reach a stream, and what callers with bad
# tokens or bad manners get. The client is made from the proto alone.
set -uo pipefail
. tests/integration/lib.sh
. tests/integration/grpc_lib.sh

connect_clusters

start_grpc_broker
start_grpc_broker
eventually "a replica serves" 30 serves "${addresses[0]}"
eventually "and the other too" 30 serves "${addresses[1]}"
import lister
eventually "an import is ready" 20 has_reason lister TokenIssued
check "the CA is in its namespace" eval "k1 get configmap multicluster-service-account-ca -o jsonpath='{.data.ca\.crt}' >$work/ca.crt && test -s $work/ca.crt"
pod app
token good app

# --- who gets what
secret_token() { k1 get secret "$(secret_of lister)" -o jsonpath='{.data.token}' | base64 -d; }
check "GetConfig's token is the Secret's" same "$(field 'm["config"]["token"]' client good get lister)" "$(secret_token)"
check "from the replica that does not lead as well" same "$(replica=1 field 'm["config"]["version"]' client good get lister)" \
  "$(field 'm["config"]["version"]' client good get lister)"
check "it names cluster, namespace and life" same \
  "$(field '[m["config"][k] for k in ("cluster_name", "namespace", "state")]' client good get lister)" "['cluster2', 'default', 'FRESH']"
check "ListConfigs lists what the pod lists" same "$(field '[i["name"] for i in m["imports"]]' client good list)" "['lister']"
import secretive
check "an import that the pod does not list is refused" ends_with PERMISSION_DENIED good get secretive
check "beside others, on a stream too" same "$(field '[(i["name"], "config" in i, i.get("error", {}).get("reason")) for i in m["imports"]]' timeout 5 /usr/bin/python3 tests/integration/grpc_client.py \
  "${addresses[0]}" "$work/ca.crt" "$work/good" watch secretive lister)" "[('lister', True, None), ('secretive', False, 'NotListedByPod')]"
check "a name that is none is refused" ends_with INVALID_ARGUMENT good get ../lister
k1 create namespace team-b >/dev/null
until k1 -n team-b get serviceaccount default >/dev/null 2>&1; do sleep 0.1; done
pod app team-b
token team-b app team-b
check "a pod of another namespace gets nothing of this one" ends_with NOT_FOUND team-b get lister
check "anyone may ask for the health" same "$(field 'm["serving"]' client - health)" True

# --- what is written of it
pod audited
token audited audited
for name in lister secretive lister; do client audited get $name >/dev/null; done
grants() {
  cat "$work"/broker-*.audit | jq -c --arg uid "$(k1 get pod audited -o jsonpath='{.metadata.uid}')" \
    'select(.audit == "ConfigGranted" and .podUid == $uid) | [.import, .pod, .rule, .tokenId]'
}
line="[\"default/lister\",\"default/audited\",\"listed-by-pod\",\"$(status_field lister tokenId)\"]"
check "each grant, and nothing else, left a line with pod, import, rule and token id" same "$(grants)" "$line"$'\n'"$line"

# --- bad tokens
check "no token" ends_with UNAUTHENTICATED - get lister
token other-audience app default --audience=vault
check "a token without our audience" ends_with UNAUTHENTICATED other-audience get lister
token second-audience app default --audience=multicluster-service-account --audience=vault
check "a token with a second audience" ends_with UNAUTHENTICATED second-audience get lister
k1 create token default --audience=multicluster-service-account >"$work/unbound"
check "a token that is bound to no pod" ends_with UNAUTHENTICATED unbound get lister
# Signed as the API server signs, with the life of the good one moved into the past.
python3 - "$work/good" "$work/expired.unsigned" <<'PYTHON'
import base64, json, sys
head, claims, _ = open(sys.argv[1]).read().strip().split(".")
claims = json.loads(base64.urlsafe_b64decode(claims + "=="))
for key in ("iat", "nbf", "exp"): claims[key] -= 7200
open(sys.argv[2], "w").write(head + "." + base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("="))
PYTHON
signing_key=$(ls "$MCSA_CLUSTERS_DIR"/cluster1/{,pki/}{sa,service-account}*.key 2>/dev/null | head -1)
{ cat "$work/expired.unsigned"; printf .; openssl dgst -sha256 -sign "$signing_key" "$work/expired.unsigned" | basenc --base64url -w0 | tr -d =; } >"$work/expired"
check "an expired token is told so" says "expired" client expired get lister
check "and is UNAUTHENTICATED" ends_with UNAUTHENTICATED expired get lister
k1 apply -f - >/dev/null <<'YAML'
{apiVersion: v1, kind: Pod, metadata: {name: bare, namespace: default}, spec: {containers: [{name: main, image: none}]}}
YAML
token bare bare
check "a pod without the sidecar is told how to get one" says "service-account-import.sidecar=enabled" client bare get lister

# --- bad manners
check "a message of 10 MB" ends_with RESOURCE_EXHAUSTED good oversized
{ head -c 1000000 /dev/urandom >"/dev/tcp/${addresses[0]/://}"; } 2>/dev/null
check "garbage on the port harms nobody" ends_with OK good get lister
python3 - "${addresses[0]##*:}" "$work/ca.crt" <<'PYTHON'
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
context.set_alpn_protocols(["h2"])
for tail in (b"\x00\x40", b"\x00\x10\x00\x00\x00\x00\x00\x00\x01abc", b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\xff\xff\xff\xff"):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as plain:
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
            tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000") + tail)
PYTHON
check "half frames harm nobody" ends_with OK good get lister
check "TLS 1.2 is refused" refused openssl s_client -connect "${addresses[0]}" -tls1_2 -alpn h2 -CAfile "$work/ca.crt" </dev/null
check "TLS 1.3 is spoken" openssl s_client -connect "${addresses[0]}" -tls1_3 -alpn h2 -CAfile "$work/ca.crt" -verify_return_error </dev/null

# --- changes reach a stream
watch good stream
replica=1 watch good stream-1
eventually "a stream begins with what is true now" 5 seen stream 'lister["config"]["state"] == "FRESH"'
before=$(status_field lister tokenId)
check "a token is renewed" kubemcsa renew lister --context cluster1 -n default
check "it is another" differs "$before" status_field lister tokenId
renewed=$(secret_token)
eventually "a renewal reaches the stream" 2 seen stream "lister.get('config', {}).get('token') == '$renewed'"
eventually "and that of the other replica" 2 seen stream-1 "lister.get('config', {}).get('token') == '$renewed'"
# From the audit line of its issue to the reader: TokenRequest's answer, Secret, two watches, a read, a stream.
took() {
  cat "$work"/broker-*.audit | python3 -c "
import datetime, json, sys
issued = max(datetime.datetime.fromisoformat(l['time'].replace('Z', '+00:00')).timestamp() for l in map(json.loads, sys.stdin) if l['audit'] == 'TokenIssued' and l['import'] == 'default/lister')
for name in ('stream', 'stream-1'):
    for line in open('$work/' + name):
        m = json.loads(line)
        if any(i.get('config', {}).get('token') == '$renewed' for i in m.get('imports', [])):
            print(f'{name}: {(m[\"time\"] - issued) * 1000:.0f} ms'); break
    else: sys.exit('nothing')
    if m['time'] - issued > 0.5: sys.exit(f'slow: {m[\"time\"] - issued} s')"
}
check "within half a second on a busy machine" took
sed 's/^/# from its issue to the reader of /' <<<"$output"
k1 delete saip namespace-sameness >/dev/null
eventually "a withdrawn policy reaches the stream" 5 seen stream 'lister.get("error", {}).get("code") == "REVOKED"'
check "GetConfig then says so" ends_with FAILED_PRECONDITION good get lister
k1 apply -f k8s/manifests/samples/policy.yaml >/dev/null
eventually "and its return as well" 10 eval '[[ $(tail -1 $work/stream) == *FRESH* ]]'

# --- delivery Broker
import lazy default "delivery: Broker"
pod lazy default --import=lazy
token lazy lazy
eventually "an import with delivery Broker needs no Secret" 10 has_reason lazy IssuedOnDemand
check "its token is had from the broker" ends_with OK lazy get lazy
field 'm["config"]["token"]' client lazy get lazy >"$work/lazy.token"
check "there is no Secret of it" test -z "$(k1 get secret -o name | grep lazy)"
check "the token lists cluster2's pods" kubectl --server="$server2" --insecure-skip-tls-verify --token="$(<"$work/lazy.token")" get pods
check "asked again it is the same one" same "$(field 'm["config"]["token"]' client lazy get lazy)" "$(<"$work/lazy.token")"
watch lazy lazy-stream
eventually "it is streamed" 5 seen lazy-stream 'imports["lazy"]["config"]["token"]'
k2 delete serviceaccount pod-lister >/dev/null
eventually "a deleted account reaches its stream" 10 seen lazy-stream 'imports.get("lazy", {}).get("error", {}).get("code") == "REVOKED"'
k2 create serviceaccount pod-lister >/dev/null
eventually "and a new one as well" 10 eval '[[ $(tail -1 $work/lazy-stream) == *FRESH* ]]'

# --- CA
bundle() { k1 get configmap multicluster-service-account-ca -o jsonpath='{.data.ca\.crt}'; }
issuer() { openssl s_client -connect "${addresses[${replica-0}]}" -alpn h2 </dev/null 2>/dev/null | openssl x509 -noout -issuer; }
cp "$work/ca.crt" "$work/ca-first.crt"
for i in 1 2; do
  signed_by=$(issuer)
  k1 -n multicluster-service-account annotate --overwrite secret service-account-import-controller-ca "multicluster.admiralty.io/rotate-requested-at=$i" >/dev/null
  eventually "rotation $i: the new CA is trusted first" 10 differs "$(<"$work/ca.crt")" bundle
  bundle >"$work/ca.crt"
  check "rotation $i: and does not sign yet" same "$(issuer)" "$signed_by"
  eventually "rotation $i: then it signs" 20 differs "$signed_by" issuer
  check "rotation $i: for all who had its bundle by then" ends_with OK good get lister
done
check "who has the first bundle alone does not trust it" eval "ca=ca-first.crt refused ends_with OK good get lister"
check "no stream was lost meanwhile" refused seen stream '"code" in m'
before=$(status_field lister tokenId)
check "one more is renewed" kubemcsa renew lister --context cluster1 -n default
check "it is another too" differs "$before" status_field lister tokenId
eventually "and they still bring renewals" 2 seen stream "lister.get('config', {}).get('token') == '$(secret_token)'"

# --- the pod goes
pod doomed
token doomed doomed
watch doomed doomed-stream
eventually "a pod has a stream" 5 seen doomed-stream 'lister["config"]["state"] == "FRESH"'
k1 delete pod doomed --now >/dev/null
eventually "when it is deleted the stream ends at once" 1 seen doomed-stream 'm.get("code") == "UNAUTHENTICATED"'
check "and its token is worth nothing" ends_with UNAUTHENTICATED doomed get lister
pod doomed
check "nor for the next pod of that name" ends_with UNAUTHENTICATED doomed get lister

# --- limits
# Its first one is open since long.
for i in 1 2 3 4 5 6; do watch good "many-$i"; done
open_streams() { grep -lE '"state": "FRESH"' "$work"/many-* | wc -l; }
refused_streams() { grep -lE '"code": "RESOURCE_EXHAUSTED".*the pod has 4 streams open' "$work"/many-* | wc -l; }
four_open() { echo "$(open_streams) open, $(refused_streams) refused; $(head -c 200 "$work"/many-*)"; [[ "$(open_streams) $(refused_streams)" == "3 3" ]]; }
eventually "a pod has four streams open, and no fifth" 20 four_open

# --- a replica stops
kill "${broker_pids[0]}"
eventually "a replica that stops says so on its streams" 3 seen stream 'm.get("code") == "UNAVAILABLE"'
replica=1
check "the other serves" ends_with OK lazy get lazy

# --- no token anywhere it should not be
k1 get secret -A -o json | python3 -c '
import base64, json, sys
for s in json.load(sys.stdin)["items"]:
    t = base64.b64decode(s.get("data", {}).get("token", "")).decode()
    if t.count(".") == 2: print(t.split(".")[2])' >"$work/signatures"
cut -d. -f3 "$work/lazy.token" "$work/good" "$work/doomed" >>"$work/signatures"
check "no log or audit line holds a token" refused grep -qFf "$work/signatures" "$work"/broker-*.log "$work"/broker-*.audit
