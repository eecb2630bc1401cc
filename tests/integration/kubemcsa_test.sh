#!/bin/bash
# kind: cluster
# kubemcsa between two real API servers: what bootstrap grants, what its fence refuses, and what it says when it cannot.
set -uo pipefail
. tests/integration/lib.sh

identity=multicluster-service-account:cluster1
as_broker() { k2 --as="system:serviceaccount:$identity" "$@"; }
mint() { as_broker create token "$@"; }
# Not by a signal, and in a sentence or two.
fails_in_words() {
  local output status
  output=$("$@" 2>&1)
  status=$?
  echo "status $status: ${output:0:300}"
  ((status > 0 && status < 4)) && [[ ${#output} -gt 20 && ${#output} -lt 400 ]]
}
minted() { [[ $("$@" 2>&1) == ey*.*.* ]]; }
# Its policy informer takes a moment.
fence_has() { eventually "$1" 10 "${@:2}"; }
server2=$(k2 config view --minify -o jsonpath='{.clusters[0].cluster.server}')
bootstrap() { kubemcsa bootstrap cluster1 cluster2 --source-server="$server2" "$@"; }

# --- what it says when it cannot
check "a target without our CRDs is told to apply the manifest" fails_with 1 "apply its manifest first" bootstrap
check "so is a dry run" fails_with 1 "apply its manifest first" bootstrap --dry-run
install_broker
check "a cluster is not its own source" fails_with 2 "CLUSTER1 CLUSTER2" kubemcsa bootstrap
check "not by name either" fails_with 2 "CLUSTER1 CLUSTER2" kubemcsa bootstrap cluster1 cluster1
check "a loopback address is refused" fails_with 2 "--source-server=https://" kubemcsa bootstrap cluster1 cluster2
check "a wrong context is met with those there are" fails_with 1 "cluster1, cluster2" kubemcsa bootstrap cluster1 nowhere
check "one context is too few" fails_with 2 "target first" kubemcsa bootstrap cluster1
check "an unknown flag is a usage error" fails_with 2 "--nonsense" kubemcsa bootstrap --nonsense
kubectl config view --flatten >"$work/contexts"
kubectl --kubeconfig "$work/contexts" config set-context cluster_2 --cluster=cluster2 --user=admin@cluster2 >/dev/null
check "a context that is no DNS name is met with the flag" fails_with 2 "--source-name=NAME" \
  kubemcsa bootstrap --target-context=cluster1 --source-kubeconfig="$work/contexts" --source-context=cluster_2
check "also where one half is printed" fails_with 2 "--target-name=NAME" \
  kubemcsa bootstrap arn:aws:eks:eu-west-1:1:cluster/blue cluster2 --print target
check "of either cluster" fails_with 2 "--source-name=NAME" \
  kubemcsa bootstrap cluster1 arn:aws:eks:eu-west-1:1:cluster/blue --print target
check "and of the other half" fails_with 2 "--target-name=NAME" \
  kubemcsa bootstrap arn:aws:eks:eu-west-1:1:cluster/blue cluster2 --print source
check "the flag's name is taken instead" says '"name":"blue"' \
  kubemcsa bootstrap cluster1 arn:aws:eks:eu-west-1:1:cluster/blue --source-name=blue --print target
check "a name that was not given is asked for" fails_with 2 "the target has no name" kubemcsa bootstrap --source-name=blue --print target
kubectl --kubeconfig "$work/contexts" config set-cluster cluster2 --server=https://127.0.0.1:1 >/dev/null
check "an unreachable cluster exits with 3" fails_with 3 "127.0.0.1:1" \
  kubemcsa bootstrap --target-context=cluster1 --source-kubeconfig="$work/contexts" --source-context=cluster2
# What only the admin's kubeconfig can do. k3d writes 0.0.0.0.
k2 config view --minify --flatten >"$work/insecure"
kubectl --kubeconfig "$work/insecure" config set-cluster cluster2 --server="${server2/127.0.0.1:/0.0.0.0:}" --insecure-skip-tls-verify >/dev/null
insecure=(kubemcsa bootstrap --dry-run --target-context=cluster1 --source-kubeconfig="$work/insecure")
check "0.0.0.0 is refused as loopback is" fails_with 2 "0.0.0.0" "${insecure[@]}"
check "a source without a CA too" fails_with 2 "--source-ca=FILE" "${insecure[@]}" --source-server="$server2"
k2 config view --minify --flatten -o jsonpath='{.clusters[0].cluster.certificate-authority-data}' | base64 -d >"$work/ca.crt"
check "unless one is given" "${insecure[@]}" --source-server="$server2" --source-ca="$work/ca.crt"
k2 config view --minify --flatten >"$work/named"
kubectl --kubeconfig "$work/named" config set-cluster cluster2 --tls-server-name=localhost >/dev/null
named=(kubemcsa bootstrap --dry-run --target-context=cluster1 --source-kubeconfig="$work/named")
check "a name for the certificate that the URL has not is told" fails_with 2 "tls-server-name" "${named[@]}"
check "and taken from a URL that has it" "${named[@]}" --source-server="${server2/127.0.0.1:/localhost:}"
check "a dry run says what would be made" says "cluster2: would create clusterrole/mcsa:cluster1" bootstrap --dry-run
check "and asks the API server" says "cluster2: would create validatingadmissionpolicy/mcsa-cluster1" bootstrap --dry-run
check "and ends well" bootstrap --dry-run
check "no account was made by all that" refused k2 get namespace multicluster-service-account

# --- bootstrap
check "bootstrap" bootstrap
check "and again" bootstrap
check "a dry run then finds nothing to change" lacks would bootstrap --dry-run
check "and tells what a narrower grant would take away" says "cluster2: would delete clusterrolebinding/mcsa:cluster1" bootstrap --dry-run --only=default
check "and does not" k2 get clusterrolebinding mcsa:cluster1
check "a second run leaves a deleted policy deleted" eval \
  'k1 delete saip namespace-sameness && bootstrap && ! k1 get saip namespace-sameness'
kubemcsa bootstrap cluster1 cluster2 --source-server="$server2" >"$work/output" 2>&1
check "it prints no token" refused grep -q 'ey[A-Za-z0-9_-]*\.ey' "$work/output"
check "each half can be printed" eval 'kubemcsa bootstrap cluster1 cluster2 --print source >"$work/source.json" &&
  kubemcsa bootstrap cluster1 cluster2 --print target >"$work/target.json"'
check "the source's half is what bootstrap applied" eval 'k2 diff -f "$work/source.json" --server-side --field-manager=kubemcsa'
check "the target's half is accepted" k1 apply --dry-run=server -f "$work/target.json"

# --- what the broker may in the source
k2 apply -f k8s/manifests/samples/account.yaml >/dev/null
for name in admin reader; do k2 create serviceaccount $name >/dev/null; done
k2 create clusterrolebinding admin --clusterrole=cluster-admin --serviceaccount=default:admin >/dev/null
k2 create clusterrole reader --verb=get,list --resource=secrets >/dev/null
k2 create clusterrolebinding reader --clusterrole=reader --serviceaccount=default:reader >/dev/null
check "it mints a token of pod-lister" minted mint pod-lister
check "and of itself for 30 days" minted mint cluster1 -n multicluster-service-account --duration=720h
check "it reads no Secret" refused as_broker get secrets -A
check "it writes no ServiceAccount" refused as_broker create serviceaccount x
check "nothing of kube-system" fails_with 1 "namespace kube-system" mint default -n kube-system
k2 -n multicluster-service-account create serviceaccount cluster3 >/dev/null
check "nothing of another target's identity" fails_with 1 "identity of another target" mint cluster3 -n multicluster-service-account
check "nothing for a week" fails_with 1 "is too much" mint pod-lister --duration=168h
check "nothing for another audience" fails_with 1 "for audiences vault" mint pod-lister --audience=vault
check "nothing of a cluster-admin" fails_with 1 "could take over the cluster" mint admin
check "nothing of a reader of all Secrets" fails_with 1 "may get secrets" mint reader
check "an admin is not hindered" minted k2 create token admin --duration=168h

# --- allow and deny
source2=(--context=cluster2 --target-name=cluster1)
check "allow without --powerful says that it is not enough" fails_with 1 "kubemcsa allow --powerful" kubemcsa allow default/reader "${source2[@]}"
check "and it is not" fails_with 1 "may get secrets" mint reader
# They return when the fence has changed, so that nothing need be awaited here.
check "allow --powerful" kubemcsa allow --powerful default/reader "${source2[@]}"
check "then it may" minted mint reader
check "deny" kubemcsa deny default/pod-lister "${source2[@]}"
check "then it may not" fails_with 1 "which was denied" mint pod-lister
check "allow of its namespace says that it stays denied" says "default/pod-lister stays denied" kubemcsa allow default "${source2[@]}"
fence() { k2 get validatingadmissionpolicies -o json | jq '.items[] | {name: .metadata.name, spec, annotations: .metadata.annotations}'; }
fence >"$work/fence"
check "a repair changes nothing of that" eval 'bootstrap && fence | diff "$work/fence" -'
check "allow takes the denial back" kubemcsa allow default/pod-lister "${source2[@]}"
check "and it may again" minted mint pod-lister
check "an account that is not there is told" says "there is no account default/nobody yet" kubemcsa allow default/nobody "${source2[@]}"
check "a target that was never bootstrapped too" fails_with 1 "knows no target cluster9" kubemcsa allow default/x --context=cluster2 --target-name=cluster9

# --- export
kubemcsa export pod-lister --context=cluster2 --as=lister --duration=15m >"$work/export" 2>"$work/export.err"
check "export prints a Secret that the API takes" k1 apply -f "$work/export"
check "named as asked, with the six keys" eval '[[ $(k1 get -f "$work/export" -o jsonpath="{.metadata.name} {.data}" |
  grep -oE "^lister|\"(ca.crt|config|config-inline|namespace|server|token)\"" | wc -l) == 7 ]]'
exported() { k1 get -f "$work/export" -o jsonpath="{.data.$1}" | base64 -d; }
lifetime() { jq -R 'split(".")[1] | gsub("-"; "+") | gsub("_"; "/") | @base64d | fromjson | .exp - .iat'; }
check "for as long as asked" test "$(exported token | lifetime)" = 900
exported config >"$work/exported"
check "with a kubeconfig that lists pods" kubectl --kubeconfig "$work/exported" get pods
check "under both keys" diff "$work/exported" <(exported config-inline)
check "its end is told on standard error" grep -q "$(date -u +%Y)" "$work/export.err"
kubemcsa export pod-lister --context=cluster2 -o kubeconfig >"$work/lister" 2>/dev/null
check "-o kubeconfig is one that works" kubectl --kubeconfig "$work/lister" get pods
check "a loopback address is told, and how to replace it" grep -q "127.0.0.1.*--source-server=https://" "$work/export.err"
check "which does" lacks "--source-server" kubemcsa export pod-lister --context=cluster2 --source-server=https://cluster2.example
check "a CA that is not verified cannot be handed on" fails_with 2 "--source-ca=FILE" kubemcsa export pod-lister --kubeconfig="$work/insecure"
check "one that is named can" eval 'kubemcsa export pod-lister --kubeconfig="$work/insecure" --source-ca="$work/ca.crt" |
  jq -r ".data[\"ca.crt\"]" | base64 -d | diff "$work/ca.crt" -'
check "a missing account is named" fails_with 1 "nobody" kubemcsa export nobody --context=cluster2

# --- ways to log in and to get there
kubeconfig2() { k2 config view --minify --flatten >"$1" && kubectl --kubeconfig "$1" config unset users >/dev/null; }
cat >"$work/plugin" <<PLUGIN
#!/bin/sh
echo '{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {"token": "$(k2 create token admin)"}}'
PLUGIN
chmod +x "$work/plugin"
kubeconfig2 "$work/exec"
kubectl --kubeconfig "$work/exec" config set-credentials admin@cluster2 --exec-command="$work/plugin" --exec-api-version=client.authentication.k8s.io/v1 >/dev/null
sed -i "s#command: .*plugin#command: ./plugin#" "$work/exec"
check "an exec plugin beside the kubeconfig logs in" eval 'kubemcsa export pod-lister --kubeconfig="$work/exec" | grep -q token'
start_helper python3 tests/integration/connect_proxy.py "$work/proxy.port" >"$work/proxied"
eventually "a proxy runs" 10 test -s "$work/proxy.port"
k2 config view --minify --flatten >"$work/proxy"
kubectl --kubeconfig "$work/proxy" config set-cluster cluster2 --proxy-url="http://127.0.0.1:$(<"$work/proxy.port")" >/dev/null
check "proxy-url leads through it" eval 'kubemcsa export pod-lister --kubeconfig="$work/proxy" | grep -q token && grep -q CONNECT "$work/proxied"'
kubeconfig2 "$work/token-file"
k2 create token admin >"$work/admin-token"
kubectl --kubeconfig "$work/token-file" config set users.admin@cluster2.tokenFile admin-token >/dev/null
check "a token file beside the kubeconfig too" eval 'kubemcsa export pod-lister --kubeconfig="$work/token-file" | grep -q token'
for broken in 'users: [' '[]' 'contexts: [{name: x}]' "$(head -c 2000000 /dev/zero | tr '\0' x)"; do
  printf %s "$broken" >"$work/broken"
  check "a malformed kubeconfig (${broken:0:12}) is an error in words" fails_in_words kubemcsa status --kubeconfig="$work/broken"
done

# --- status, renew, version
check "status lists the source" eval '[[ $(kubemcsa status --context cluster1 -o json | jq -r ".[0] | .kind + \" \" + .name") == "source multicluster-service-account/cluster2" ]]'
check "and exits with 1 while nobody serves it" fails_with 1 "does one run?" kubemcsa status --context cluster1
check "status of a cluster without our CRDs says so" fails_with 1 "not installed" kubemcsa status --context cluster2
check "renewing what is not there is an error" fails_with 1 "nothing" kubemcsa renew nothing --context cluster1
check "renewing without a broker ends, and asks for one" fails_with 1 "does one run?" \
  kubemcsa renew cluster2 --context cluster1 -n multicluster-service-account --timeout=1
for seconds in 0 -1; do
  check "a timeout of $seconds s is none" fails_with 2 "--timeout" kubemcsa renew cluster2 --context cluster1 --timeout=$seconds
done
check "version" eval '[[ $(kubemcsa version) == "$(mcsa-broker --version)" ]]'
check "each command shows an example" eval 'for command in bootstrap unbootstrap allow deny renew export status version; do
  kubemcsa $command --help | grep -q "^Example: kubemcsa $command" || { echo "$command"; exit 1; }; done'

# --- one static file
mkdir "$work/root"
cp "$(command -v kubemcsa)" /etc/resolv.conf "$work/root/"
k2 config view --minify --flatten >"$work/root/kubeconfig"
if ((UID == 0)); then
  check "it runs in an empty chroot" eval 'chroot "$work/root" /kubemcsa export pod-lister --kubeconfig=/kubeconfig | grep -q token'
else
  echo "SKIP it runs in an empty chroot: needs root"
fi

# --- another audience, another CA
check "--audience lets tokens be for one more" bootstrap --audience=vault
fence_has "then they may" minted mint pod-lister --audience=vault
check "--source-ca names the CA that the broker shall trust" bootstrap --audience=vault --source-ca=/etc/ssl/certs/ca-certificates.crt
check "and it is what the broker gets" eval 'k1 -n multicluster-service-account get secret -o jsonpath="{.items[0].data.ca\.crt}" |
  base64 -d | cmp - /etc/ssl/certs/ca-certificates.crt'
check "a --source-ca that is not there is named" fails_with 1 "/nowhere" bootstrap --source-ca=/nowhere

# --- without the fence
k2 delete validatingadmissionpolicy,validatingadmissionpolicybinding --all >/dev/null
check "it renews itself with every policy object deleted" minted mint cluster1 -n multicluster-service-account
check "bootstrap repairs the fence" bootstrap
fence_has "which refuses again" fails_with 1 "could take over the cluster" mint admin
check "--only narrows the rights" bootstrap --only=default/pod-lister --audience=vault
check "to that account" minted mint pod-lister
check "and no other" fails_with 1 "cannot create resource" mint default
check "--audience and --only are kept by a repair that does not name them" bootstrap
check "so that it may take no other" fails_with 1 "cannot create resource" mint default
check "and for that audience" minted mint pod-lister --audience=vault
k2 -n multicluster-service-account delete serviceaccount cluster1 >/dev/null
k2 delete validatingadmissionpolicy,validatingadmissionpolicybinding --all >/dev/null
check "even when the identity and the fence were deleted" eval 'bootstrap && fails_with 1 "cannot create resource" mint default'
check "it says so, and how to lift it" says "--only=default/pod-lister stays; --all lifts it" bootstrap
check "--all widens the rights" eval 'bootstrap --all --audience= && minted mint default'
fence_has "an empty --audience takes the others back" fails_with 1 "for audiences vault" mint pod-lister --audience=vault
check "--all and --only exclude each other" fails_with 2 "--only" bootstrap --all --only=default
check "a target that was never bootstrapped is not unbootstrapped" fails_with 1 "knows no target cluster9" \
  kubemcsa unbootstrap --target-context=cluster1 --target-name=cluster9 --source-context=cluster2 --source-name=nowhere
check "a source that is gone for good is forgotten" kubemcsa unbootstrap --target-only --target-context=cluster1 \
  --source-kubeconfig="$work/contexts" --source-context=cluster2
check "so that the target knows it no more" refused k1 -n multicluster-service-account get sai cluster2
check "status of no source says how to connect one" says "kubemcsa bootstrap cluster1 SOURCE" kubemcsa status --context cluster1
bootstrap >/dev/null 2>&1
check "unbootstrap says what it deletes" says "cluster2: deleted validatingadmissionpolicy/mcsa-cluster1" kubemcsa unbootstrap cluster1 cluster2
check "once more there is nothing to delete" fails_with 1 "knows no target cluster1" kubemcsa unbootstrap cluster1 cluster2
check "the identity is gone" refused k2 -n multicluster-service-account get serviceaccount cluster1
check "no right of it is left" test -z "$(k2 get clusterroles,clusterrolebindings,validatingadmissionpolicies -o name | grep mcsa)"
check "nor the import in the target" refused k1 -n multicluster-service-account get sai cluster2

# --- with a broker
broker_kubeconfig
start_broker
eventually "a broker runs" 10 grep -q '"this replica leads"' "$work/broker-0.log"
nowhere=127.0.0.1:$(free_port)
unreached() {
  output=$(kubemcsa bootstrap cluster1 cluster2 --source-server="https://$nowhere" 2>&1)
  echo "$output"
  [[ $output == *"has not taken it over yet"*"$nowhere"* && $output != *"the broker uses it"* ]]
}
check "bootstrap tells that the broker does not reach the source, though the first token lives" unreached
check "and when it does" says "the broker uses it" bootstrap
check "a repair does not take what was before for an answer" unreached
