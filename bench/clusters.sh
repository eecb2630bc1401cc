#!/bin/bash
# clusters.sh FOLDER
#
# cluster1 and cluster2, control planes only, connected as the tests do it. Makes FOLDER/ready when they can be used. Takes
# them down when its input ends, which it does however the program at the other end does.
set -uo pipefail
exec >&2
folder=$1
export MCSA_CLUSTERS_DIR=$folder/clusters KUBEMCSA=$PWD/.bazel/bin/client/cli/kubemcsa
. tests/integration/lib.sh
trap 'tools/clusters down; rm -rf "$work"; touch "$folder/ended"' EXIT
tools/clusters up --no-nodes >/dev/null || exit 1
export KUBECONFIG=$MCSA_CLUSTERS_DIR/kubeconfig PATH=$MCSA_CLUSTERS_DIR/bin:$PATH
connect_clusters
cp "$work/broker.kubeconfig" "$folder/"
touch "$folder/ready"
cat >/dev/null
