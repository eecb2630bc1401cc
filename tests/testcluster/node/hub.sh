#!/bin/bash
# hub.sh DIR CLUSTER...: init of the outer network, mount and pid namespace. This network namespace, the hub, routes
# between the clusters; each cluster gets its own network, mount and pid namespace inside. Ends when one of them ends.
set -eu
dir=$1
shift
here=$(dirname "$(readlink -f "$0")")
mount -t tmpfs -o mode=755 tmpfs /run # names of network namespaces made here vanish with it
mkdir -p /run/netns
ip link set lo up
sysctl -qw net.ipv4.ip_forward=1
# "ct" is in use from the start, so that conntrack knows which side opened each connection when a fault is made later.
nft -f - <<'RULES'
table inet hub {
  chain faults {
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state new counter
    jump faults
  }
}
RULES
index=0
for cluster in "$@"; do
  ip netns add "$cluster"
  ip link add "$cluster" type veth peer name up0 netns "$cluster"
  ip addr add "10.89.$index.1/30" dev "$cluster"
  ip link set "$cluster" up
  ip -n "$cluster" addr add "10.89.$index.2/30" dev up0
  ip -n "$cluster" link set up0 up
  ip -n "$cluster" link set lo up
  ip -n "$cluster" route add default via "10.89.$index.1"
  nsenter --net="/run/netns/$cluster" unshare -m -p --fork --kill-child --mount-proc \
    "$here/cluster.sh" "$dir" "$index" "$cluster" >"$dir/$cluster.out" 2>"$dir/$cluster.err" &
  index=$((index + 1))
done
wait -n
