# Sourced after lib.sh by the scripts that call the broker's gRPC API.

# start_grpc_broker: a broker with a gRPC address; `addresses` gets it.
addresses=()
start_grpc_broker() {
  local port
  port=$(free_port)
  start_broker --grpc-address="127.0.0.1:$port" --ca-propagation=1
  addresses+=("127.0.0.1:$port")
}
serves() { (exec 3<>"/dev/tcp/${1/://}") 2>/dev/null; }

protoc -I proto --python_out="$work" --grpc_out="$work" --plugin=protoc-gen-grpc="$(command -v grpc_python_plugin)" mcsa/v1/config_service.proto
export PYTHONPATH=$work

# pod NAME [NAMESPACE] [ARGS]: as the webhook makes it; there is no node, so it never runs.
pod() {
  k1 apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $1, namespace: ${2-default}, labels: {multicluster.admiralty.io/injected: "true"}}
spec:
  initContainers: [{name: mcsa-sidecar, image: none, restartPolicy: Always, args: [run, ${3---import=lister}, --log-level=info]}]
  containers: [{name: main, image: none}]
YAML
}
# token FILE POD [NAMESPACE] [FLAG...]: that of the pod, as the kubelet would project it.
token() {
  local file=$1 name=$2 namespace=${3-default}
  shift $(($# < 3 ? $# : 3))
  k1 -n "$namespace" create token default --bound-object-kind Pod --bound-object-name "$name" "${@:---audience=multicluster-service-account}" >"$work/$file"
}
# client TOKEN_FILE COMMAND...: on the replica $replica, with the CA in $ca.
client() {
  local token_file=$work/$1
  [[ $1 != - ]] || token_file=-
  /usr/bin/python3 tests/integration/grpc_client.py "${addresses[${replica-0}]}" "$work/${ca-ca.crt}" "$token_file" "${@:2}"
}
ends_with() { [[ $(client "${@:2}" | tail -1) == *"\"code\": \"$1\""* ]]; }
# field EXPRESSION COMMAND...: of the command's first line, m.
field() { "${@:2}" | sed -n 1p | python3 -c "import json, sys; m = json.loads(sys.stdin.readline()); print($1)"; }
same() { [[ $1 == "$2" && -n $1 ]]; }
differs() { [[ $("${@:2}") != "$1" ]]; }
# seen FILE EXPRESSION: whether a line of a stream, m, is so.
seen() { python3 -c "
import json, sys
for line in open('$work/$1'):
    m = json.loads(line)
    imports = {i['name']: i for i in m.get('imports', [])}
    lister = imports.get('lister', {})
    if $2: sys.exit(0)
sys.exit(1)"; }
watch() { client "$1" watch "${@:3}" >"$work/$2" & watch_pids+=($!); }
watch_pids=()
trap 'kill "${watch_pids[@]}" 2>/dev/null; stop_brokers; rm -rf "$work"' EXIT

