# Sourced by test scripts that take a cluster's API server down, or change it, while its cluster runs on. A cluster is
# named by its folder: $MCSA_CLUSTERS_DIR/cluster2.

api_server_pid() { pgrep -f "kube-apiserver .*$1/"; }
api_server_port() { tr '\0' '\n' <"/proc/$(api_server_pid "$1")/cmdline" | sed -n 's/^--secure-port=//p' | tail -1; }

# stop_api_server CLUSTER: ends it. Its arguments are kept for start_api_server. Returns when its port is free: the process's
# name is gone before its sockets are.
stop_api_server() {
  local pid port
  pid=$(api_server_pid "$1")
  port=$(api_server_port "$1")
  mapfile -d '' -t api_server_command <"/proc/$pid/cmdline"
  kill -9 "$pid"
  while [[ -n $(ss -tlnH "sport = :$port") ]]; do sleep 0.05; done
}

# start_api_server CLUSTER [FLAG...]: starts what stop_api_server ended last, with further flags, of which the last of one
# name counts. Returns when it is ready. Starts it again when it ends: its port may be taken for a moment.
start_api_server() {
  local cluster=$1 end=$((SECONDS + 40)) command=("${api_server_command[@]}" "${@:2}") port pid=
  port=$(printf '%s\n' "${command[@]}" | sed -n 's/^--secure-port=//p' | tail -1)
  until kubectl --kubeconfig "$cluster/admin.kubeconfig" --server="https://127.0.0.1:$port" --insecure-skip-tls-verify get --raw /readyz >/dev/null 2>&1; do
    ((SECONDS < end)) || { echo "FAIL the API server of ${cluster##*/} did not start again"; return 1; }
    if [[ -z $pid ]] || ! kill -0 "$pid" 2>/dev/null; then
      start_helper "${command[@]}" >>"$cluster/kube-apiserver.log" 2>&1
      pid=${helper_pids[-1]}
      disown # else bash tells of its end
    fi
    sleep 0.1
  done
}

# requests_in_flight CLIENT_PID SERVER_PID: whether the stopped server has something from that client still to read.
requests_in_flight() {
  local client=$1 server=$2
  ss -tnpH state established | awk -v client="pid=$client," -v server="pid=$server," '
    index($0, client) { from[$3] }
    index($0, server) && $1 > 0 { unread[$4] }
    END { for (peer in unread) { sub(/^\[::ffff:/, "[", peer); gsub(/[][]/, "", peer); if (peer in from) exit 0 } exit 1 }'
}
