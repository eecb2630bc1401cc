#!/bin/bash
# kind: cluster
#
# mcsa-sidecar as a plain process with directories of its own, and what may go wrong around it. Its broker is a stand-in
# that does what a real one does not do on demand: be slow to come, be silent, be gone. Needs no cluster.
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/../.." || exit
bazel build --config=release //sidecar:mcsa-sidecar //client/credential:mcsa-credential //sidecar/testing:fake-broker \
  //examples/cpp/watch-client 2>&1 | grep -E '^ERROR|error:' >&2
bin=.bazel/bin
export MCSA_SOCKET=$work/run/mcsa.sock MCSA_IMPORTS_DIRECTORY=$work/run/imports
mkdir -p "$work"/{secrets,remote,run,credentials}
run=$work/run
pids=()
trap 'for pid in "${pids[@]}"; do kill -CONT $pid; kill -9 $pid; done 2>/dev/null; mountpoint -q "$work/small" && umount "$work/small"; rm -rf "$work"' EXIT

# token ID [AGE LIFE]: one that nobody signed.
token() {
  local now
  now=$(date +%s)
  printf 'e30.%s.canary' "$(printf '{"iat":%d,"exp":%d,"jti":"%s"}' $((now - ${2-0})) $((now - ${2-0} + ${3-3600})) "$1" | base64 -w0 | tr '+/' '-_' | tr -d =)"
}

# secret DIRECTORY IMPORT [TOKEN]: as the kubelet mounts it; without TOKEN a revoked one.
secret() {
  local folder=$1/$2 generation
  generation=..$(date +%s%N)
  mkdir -p "$folder/$generation"
  printf https://10.0.0.1:6443 >"$folder/$generation/server"
  printf PEM >"$folder/$generation/ca.crt"
  printf default >"$folder/$generation/namespace"
  [[ -z ${3-} ]] || printf %s "$3" >"$folder/$generation/token"
  ln -sfn "$generation" "$folder/..data_tmp" && mv -T "$folder/..data_tmp" "$folder/..data"
}

start_sidecar() {
  "$bin/sidecar/mcsa-sidecar" run --import=a --import=b --directory="$run" --secrets-directory="$work/secrets" \
    --credentials-directory="$work/credentials" --broker="${broker-127.0.0.1:9}" --plugin="$bin/client/credential/mcsa-credential" \
    --log-level=debug "$@" 2>>"$work/sidecar.log" &
  sidecar=$!
  pids+=($sidecar)
}
start_fake() { # NUMBER: at 127.0.0.NUMBER
  "$bin/sidecar/testing/fake-broker" "127.0.0.$1:$port" localhost "$work/remote" "$work/credentials" >"$work/broker-$1.out" 2>&1 &
  fake=$!
  pids+=($fake)
}
sidecar() { "$bin/sidecar/mcsa-sidecar" "$@" --directory="$run"; }
shows() { [[ $(cat "$work/run/imports/$1/token") == "$2" ]]; }
plugin_says() { grep -qF "\"token\":\"$2\"" <<<"$("$work/run/bin/mcsa-credential" "$1" "$work/run/imports")"; }
logged() { grep -qF -- "$1" "$work/sidecar.log"; }
lines() { grep -cF -- "$1" "$work/sidecar.log"; }
more_lines() { (($(lines "$1") > $2)); }

# --- The broker is down at the start.
first=$(token first 1900)
secret "$work/secrets" a "$first"
start_sidecar
check "with the broker down, wait is held back by an import that has no token" refused sidecar wait --timeout=0.5
check "and its files are there all the same" shows a "$first"
secret "$work/secrets" b "$(token b 60)"
check "the gate opens when the kubelet brings the last one" sidecar wait --timeout=5
check "the plugin prints what the files hold" plugin_says a "$first"
check "check finds a server" sidecar check
check "the merged kubeconfig has both" grep -q '"contexts":\[{"name":"a".*{"name":"b"' "$work/run/kubeconfig"
check "the log holds no token" refused logged canary
second=$(token second 1000)
secret "$work/secrets" a "$second"
eventually "a Secret that the kubelet updates is served at once" 1 shows a "$second"

# --- An app with a watch sees none of what follows but new tokens.
exec 7> >("$bin/examples/cpp/watch-client/watch-client" >"$work/app.out" 2>&1)
eventually "an app's watch opens" 5 grep -q "a: https://10.0.0.1:6443, namespace default" "$work/app.out"

# --- kill -9: files stay, the socket is back.
kill -9 $sidecar
wait $sidecar 2>/dev/null
check "after kill -9 the files stay" shows a "$second"
start_sidecar
eventually "and the socket is back within 2 s" 2 sidecar check

# --- The broker comes.
port=29443
printf pod-token >"$work/credentials/token"
third=$(token third 100)
secret "$work/remote" a "$third"
secret "$work/remote" b "$(token b2 50)"
kill $sidecar
wait $sidecar
check "SIGTERM ends it with status 0" test $? = 0
start_fake 2
eventually "a broker" 5 test -s "$work/credentials/ca.crt"
broker=localhost:$port
kill $fake
wait $fake 2>/dev/null
port=$port start_fake 1
start_sidecar
eventually "the stream brings a newer token than the Secret has" 5 shows a "$third"
fourth=$(token fourth 10)
secret "$work/remote" a "$fourth"
eventually "and the next" 2 shows a "$fourth"
secret "$work/secrets" a "$third"
sleep 0.3 # for what must not happen
check "a mount that is late changes nothing" shows a "$fourth"

# --- A stream that is silent: stopped, its kernel still answers.
kill -STOP $fake
opened=$(lines "the stream to the broker is open")
# On a busy machine a first attempt may have come before the broker, and have failed the same way.
ended=$(lines '"error":"the stream to localhost:29443 ended')
eventually "a stream that blackholes is noticed" 20 more_lines '"error":"the stream to localhost:29443 ended' "$ended"
check "and what it brought is served on" shows a "$fourth"
kill -CONT $fake
fifth=$(token fifth 5)
secret "$work/remote" a "$fifth"
eventually "the next stream brings the rest" 20 shows a "$fifth"
check "on a new stream" more_lines "the stream to the broker is open" "$opened"

check "the app's watch showed no error in all this" test "$(grep -vc "a token of" "$work/app.out")" = 0

# --- Revocation.
secret "$work/remote" a
eventually "a revocation takes the token at once" 2 refused test -e "$work/run/imports/a/token"
check "and both kubeconfigs" refused test -e "$work/run/imports/a/config" -o -e "$work/run/imports/a/config-inline"
check "the old token is nowhere below" refused grep -rqF "$fifth" "$work/run/imports/a"
check "the plugin says so" says "was revoked" "$work/run/bin/mcsa-credential" a "$work/run/imports"
eventually "the app's watch hears of it" 2 grep -q "a: UNAUTHENTICATED" "$work/app.out"
check "the other import is as it was" test -e "$work/run/imports/b/token"
sixth=$(token sixth)
secret "$work/remote" a "$sixth"
eventually "allowed again, a new token comes" 2 shows a "$sixth"

# --- The pod's own token and the CA are read again for each stream.
printf renewed-pod-token >"$work/credentials/token"
rm "$work/credentials/ca.crt" "$work/credentials/ca.key"
kill $fake
wait $fake 2>/dev/null
opened=$(lines "the stream to the broker is open")
start_fake 1
eventually "with a new CA the next stream opens" 20 more_lines "the stream to the broker is open" "$opened"
eventually "and with the new token" 2 grep -qx "a stream with Bearer renewed-pod-token" "$work/broker-1.out"

# --- Garbage on the socket.
garbage() {
  python3 - "$MCSA_SOCKET" "$bin/sidecar/mcsa-sidecar" check --directory="$run" <<'PY'
import os, socket, subprocess, sys
preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
for data in (b"", os.urandom(1 << 20), b"GET / HTTP/1.1\r\n\r\n", preface + b"\x00\x00", preface + os.urandom(10 << 20), preface):
    for _ in range(20):
        s = socket.socket(socket.AF_UNIX)
        s.connect(sys.argv[1])
        try:
            s.sendall(data)
        except OSError:
            pass
        s.close()
held = []
for _ in range(300):  # more than it serves at once
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    held.append(s)
subprocess.run(sys.argv[2:], check=True)  # the kubelet would restart it
PY
}
check "garbage, half frames and too many connections go by, and it is alive among them" garbage
eventually "and the next caller is served" 15 sidecar check
check "all by the same process" kill -0 $sidecar
seventh=$(sleep 1; token seventh) # of two tokens the one issued in a later second is the newer
secret "$work/remote" a "$seventh"
eventually "which still hears the broker" 5 shows a "$seventh"
check "the log holds no token to the end" refused logged canary
check "peers are logged" logged '"uid":"0"'

# --- It listens on the socket alone, and ends at once under an app's watch and the broker's stream.
listening() { awk '$4 == "0A" { print "socket:[" $10 "]" }' /proc/net/tcp /proc/net/tcp6; }
sockets() { readlink "/proc/$sidecar/fd/"* | grep '^socket:'; }
check "it has sockets" sockets
check "and no TCP port" test -z "$(grep -xFf <(listening) <(sockets))"
begun=$(date +%s%3N)
kill $sidecar
wait $sidecar
check "SIGTERM ends it with status 0, streams or not" test $? = 0
check "within a second" test $(($(date +%s%3N) - begun)) -lt 1000

# --- A volume that is full: the socket serves what the files cannot show.
if ((EUID == 0)) && mkdir -p "$work/small" && mount -t tmpfs -o size=3m tmpfs "$work/small" 2>/dev/null; then
  run=$work/small
  start_sidecar
  eventually "on a small volume it starts" 5 sidecar wait --timeout=5
  eventually "and hears the broker" 5 grep -qF "$seventh" "$run/imports/a/token"
  head -c 3m /dev/zero >"$run/filler" 2>/dev/null
  eighth=$(sleep 1; token eighth)
  secret "$work/remote" a "$eighth"
  eventually "a full volume is reported with its cause" 5 logged "No space left on device"
  eventually "while the socket goes on" 2 sidecar check
  check "and the old file is whole" test "$(cat "$run/imports/a/token")" = "$seventh"
  rm "$run/filler"
  eventually "with room again, the files follow by themselves" 10 grep -qF "$eighth" "$run/imports/a/token"
  mount -o remount,ro "$run"
  ninth=$(sleep 1; token ninth)
  secret "$work/remote" a "$ninth"
  eventually "a read-only volume is reported with its cause" 5 logged "Read-only file system"
  check "while the socket goes on still" sidecar check
  kill $sidecar
  wait $sidecar
  umount "$work/small"
else
  echo "SKIP full and read-only volume: needs root and mount"
fi
exec 7>&-
