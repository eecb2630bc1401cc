#!/bin/bash
# kind: cluster
# tools/clusters itself: what exec passes through, and that down leaves nothing behind.
set -uo pipefail
. tests/integration/lib.sh

export MCSA_CLUSTERS_DIR=$work/others # beside the clusters of the other tests
exits_with() { local want=$1 got=0; shift; "$@" || got=$?; [[ $got == "$want" ]]; }
held_open() { timeout 60 bash -c "$* | cat >/dev/null"; }
processes() { pgrep -fc "up -dir $work/others"; }

check "exec without clusters says how to start them" says "tools/clusters up" tools/clusters exec -- true
check "up leaves no descriptor of its caller open" held_open tools/clusters up --no-nodes only
tools/clusters down
mkfifo "$work/fifo"
held_on_12() { timeout 60 cat <"$work/fifo" & tools/clusters up --no-nodes only 12>"$work/fifo"; wait $!; }
check "nor one of a high number" held_on_12
check "its process runs" test "$(processes)" = 1
check "exec passes standard input and output" test "$(echo text | tools/clusters exec -- cat)" = text
check "and the exit status" exits_with 7 tools/clusters exec -- bash -c 'exit 7'
check "and the working directory" test "$(root=$PWD && cd / && "$root/tools/clusters" exec -- pwd)" = /
check "kubectl has a context of the cluster" tools/clusters exec -- kubectl --context only get namespace default
check "kubemcsa is on its PATH" tools/clusters exec -- bash -c '[[ $(command -v kubemcsa) == "$MCSA_CLUSTERS_DIR"/* ]] && kubemcsa version'
check "a second up tells what runs" says "nodes: no" tools/clusters up --no-nodes only
check "down" tools/clusters down
check "leaves no process" refused pgrep -f "$work/others/"
check "and no file" refused test -e "$work/others"

# --- a port that somebody else takes before its cluster does
real=$(tools/clusters build)
fake=$work/cache/mcsa/testcluster/${real##*/}
mkdir -p "$fake"
ln -s "$real"/* "$fake"
rm "$fake/testcluster"
cat >"$fake/testcluster" <<SCRIPT
#!/bin/bash
[[ -e $work/taken ]] || { touch "$work/taken"; echo "bind: address already in use" >&2; exit 1; }
exec "$real/testcluster" "\$@"
SCRIPT
chmod +x "$fake/testcluster"
check "up draws another" env XDG_CACHE_HOME="$work/cache" tools/clusters up --no-nodes only
tools/clusters down

# --- one of two ends by itself
tools/clusters up --no-nodes one two >/dev/null 2>&1
one=$(head -1 "$work/others/pids")
kill -KILL "$one"
while kill -0 "$one" 2>/dev/null; do sleep 0.1; done
check "exec of clusters of which one has ended is refused" fails_with 1 "no clusters run" tools/clusters exec -- true
check "up starts them anew" tools/clusters up --no-nodes one two
check "and ends what was left" test "$(processes)" = 2
check "down ends them all" eval 'tools/clusters down && ! pgrep -f "$work/others/"'
