#!/bin/bash
# kind: long
# tools/demo as a newcomer runs it, on clusters with nodes that it starts itself: all of the story, and nothing left of it.
set -uo pipefail
. tests/integration/lib.sh

told() { grep -qE -- "$1" "$work/told"; }
shown_after() { awk -v title="$1" 'index($0, title) { on = 1; next } /^\[/ { on = 0 } on' "$work/told"; }
mkdir "$work/tmp"
check "the demo succeeds" eval 'TMPDIR=$work/tmp tools/demo >"$work/printed" 2>"$work/told"'
check "it prints one line, which says so" test "$(cat "$work/printed")" = "demo: ok"
check "the kubeconfig of the Secret lists the other cluster's pods" grep -qE '^hello +[01]/1 ' <(shown_after "nothing but that Secret")
check "the Job's pod has the mount" grep -q '^/var/run/secrets/admiralty.io/serviceaccountimports/' <(shown_after "what the webhook mounted")
check "and lists those pods" grep -q hello <(shown_after "what it found")
check "an app was told of two tokens" test "$(shown_after "without a restart" | grep -oE 'JTI=[^ ]+' | sort -u | wc -l)" -ge 2
check "the token is refused in the end" told "the token is refused"
check "it prints no token" refused grep -q 'ey[A-Za-z0-9_-]*\.ey' "$work/told" "$work/printed"
check "its clusters are gone" refused pgrep -f "$work/tmp/"
check "and so are its files" test -z "$(ls "$work/tmp")"
