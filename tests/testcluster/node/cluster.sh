#!/bin/bash
# cluster.sh DIR INDEX NAME: one cluster, as init of its own mount and pid namespace, in the network namespace that hub.sh
# made. TESTCLUSTER is the binary, IMAGES the archives for its node.
set -eu
dir=$1 index=$2 name=$3
# What containerd, CNI and the kubelet keep at fixed places.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock /run/tmp
export TMPDIR=/run/tmp
for path in /var/lib/cni /var/lib/kubelet /var/log; do
  mkdir -p "$path"
  mount -t tmpfs tmpfs "$path"
done
mkdir -p /var/log/containers
# The kubelet would set these for the whole machine; it is shown what it wants instead.
pretend() {
  echo "$2" >"/run/sysctl.${1##*/}"
  mount --bind "/run/sysctl.${1##*/}" "$1"
}
pretend /proc/sys/vm/overcommit_memory 1
pretend /proc/sys/kernel/panic 10
pretend /proc/sys/kernel/panic_on_oops 1
sysctl -qw net.ipv4.ip_forward=1
# Pods leave the cluster with the node's address; nothing outside knows the pods' network.
nft -f - <<RULES
table ip egress {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "up0" ip saddr 10.$((200 + index)).0.0/24 masquerade
  }
}
RULES
exec "$TESTCLUSTER" up -dir "$dir/$name" -index "$index" -host "10.89.$index.2" -port 6443 -node -images "$IMAGES" "$name"
