#!/bin/bash
# kind: node
# tools/clusters with nodes makes namespaces, mounts and cgroups, and starts containers; down leaves the machine as it was.
set -uo pipefail
. tests/integration/lib.sh

export MCSA_CLUSTERS_DIR=$work/others
trap 'tools/clusters down 2>/dev/null; rm -rf "$work"' EXIT
# One "kind name" a line. Left out is what changes by itself, and other programs' namespaces.
machine() {
  ps -eo args= | grep -F -e "$work/others" -e containerd-shim | grep -v -e grep -e "^ps " | sed 's/^/process /'
  sed 's/^/mount /; s/ [^ ]* [^ ]*$//' /proc/self/mounts
  lsns -t net -n -o NS,COMMAND | grep -E 'hub\.sh|cluster\.sh|testcluster|containerd|/pause|/coredns' | sed 's/^ *\([0-9]*\).*/network \1/'
  ip -o link | sed 's/^[0-9]*: \([^:@]*\).*/link \1/'
  find /sys/fs/cgroup -type d -path '*/testcluster*/only*' | sed 's/^/cgroup /'
  sysctl -a 2>/dev/null | grep -E '^(vm\.|kernel\.panic|net\.ipv4\.(ip_forward|conf\.(all|default)))' | sed 's/^/sysctl /'
}
machine | sort >"$work/before"
check "up" tools/clusters up only
check "it says that nodes run" says "nodes: yes" tools/clusters up only
check "a container runs" eval 'tools/clusters exec -- kubectl run busy --image=localhost/pause:1 --restart=Never &&
  tools/clusters exec -- kubectl wait --for=condition=Ready pod/busy --timeout=60s'
check "which can be seen from here" eval 'machine | sort >"$work/during"; [[ $(diff "$work/before" "$work/during" | grep -c "^> \(process\|network\|cgroup\)") -ge 5 ]]'
check "the machine's own settings are untouched meanwhile" eval 'diff <(grep ^sysctl "$work/before") <(grep ^sysctl "$work/during")'
check "down" tools/clusters down
machine | sort >"$work/after"
check "leaves nothing behind" diff "$work/before" "$work/after"
check "and no file" refused test -e "$work/others"
