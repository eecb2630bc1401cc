#!/bin/bash
# Builds the images, brings them where the cluster finds them, and applies the manifests.
#
#   bazel run //k8s:install -- --context C [--registry R] [--namespaces A,B] [--overlay DIR] [--wait SECONDS] [--print]
#
#   --context C          the target, a context of your kubeconfig
#   --registry R         push the images to R/multicluster-service-account/... (credentials: skopeo login); without it they
#                        are loaded into the nodes of the clusters that tools/clusters started, where C must be the first
#   --namespaces A,B     let the broker keep Secrets in these namespaces too
#   --overlay DIR        apply this kustomization instead of k8s/manifests: k8s/overlays/cluster-wide, or one of your own
#   --wait SECONDS       wait so long for the pods to be ready, 120 without it; 0 does not wait
#   --print              neither push nor apply, print the manifest
#
# Twice is fine: what has not changed is left alone.
# Example: bazel run //k8s:install -- --context cluster1 --registry registry.example/mcsa --namespaces team-a,team-b
set -euo pipefail

root=${BUILD_WORKSPACE_DIRECTORY:-$(dirname "$(dirname "$(readlink -f "$0")")")}
die() {
  echo "k8s:install: $*" >&2
  exit 1
}
say() { echo "$*" >&2; }
usage() { sed -n 's/^# \{0,1\}//; 2,15p' "${BASH_SOURCE[0]}"; }

context='' registry='' namespaces=() overlay=$root/k8s/manifests seconds=120 print=''
while (($#)); do
  case $1 in
    --context) context=${2-} && shift ;;
    --registry) registry=${2-} && shift ;;
    --namespaces) IFS=, read -ra namespaces <<<"${2-}" && shift ;;
    --overlay) overlay=$(cd "${BUILD_WORKING_DIRECTORY:-$PWD}" && readlink -f -- "${2-}") && shift ;;
    --wait) seconds=${2-} && shift ;;
    --print) print=1 ;;
    --context=* | --registry=* | --namespaces=* | --overlay=* | --wait=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" && continue ;;
    -h | --help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift
done
[[ -n $context ]] || { usage >&2 && exit 2; }
[[ $seconds =~ ^[0-9]+$ ]] || die "--wait wants seconds"
[[ -e $overlay/kustomization.yaml ]] || die "$overlay holds no kustomization.yaml"
command -v kubectl >/dev/null || [[ -z $registry ]] || die "kubectl is not on PATH"

# The API servers of the test clusters are reached from their own network only.
kubectl=(kubectl)
[[ -n $registry ]] || kubectl=("$root/tools/clusters" exec -- kubectl)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say "building the images"
"$root/tools/images" -o json >"$work/images.json"
images() { python3 -c 'import json, sys; [print(*map(i.get, sys.argv[2:])) for i in json.load(open(sys.argv[1]))]' "$work/images.json" "$@"; }

push() {
  local name archive flags=()
  command -v skopeo >/dev/null || die "skopeo is missing; run tools/install_deps"
  [[ $registry != localhost* && $registry != 127.0.0.1* ]] || flags=(--dest-tls-verify=false) # as docker does
  while read -r name archive; do
    say "pushing $registry/$name"
    skopeo copy --quiet "${flags[@]}" "oci-archive:$root/$archive" "docker://$registry/$name" </dev/null
  done < <(images name archive)
}

load() {
  local archives
  mapfile -t archives < <(images archive)
  say "loading ${#archives[@]} images into the nodes"
  (cd "$root" && tools/clusters load "${archives[@]}")
}

# A kustomization on top of the overlay: registry, the images by their digests, RoleBindings.
write_kustomization() {
  cat <<YAML
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - $(realpath --relative-to="$work" "$overlay")
YAML
  ((${#namespaces[@]} == 0)) || echo "  - namespaces.yaml"
  if [[ -n $registry ]]; then
    cp "$root/k8s/manifests/image-fields.yaml" "$work"
    printf '%s\n' "configurations: [image-fields.yaml]" images:
    local name digest
    while read -r name digest; do
      echo "  - {name: ${name%:*}, newName: $registry/${name%:*}, digest: \"$digest\"}"
    done < <(images name digest)
  else
    # The names stay the same when the content changes; this lets the pods follow.
    cat <<YAML
patches:
  - target: {kind: Deployment}
    patch: |
      {apiVersion: apps/v1, kind: Deployment, metadata: {name: any}, spec: {template: {metadata: {annotations:
        {multicluster.admiralty.io/images: "$(images name digest | sha256sum | cut -c1-16)"}}}}}
YAML
  fi
}

write_namespaces() {
  local namespace
  for namespace in "${namespaces[@]}"; do
    cat <<YAML
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: service-account-import-controller-secrets, namespace: $namespace}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: service-account-import-controller-secrets}
subjects:
  - {kind: ServiceAccount, name: service-account-import-controller, namespace: multicluster-service-account}
YAML
  done
}

for namespace in "${namespaces[@]}"; do
  [[ $namespace =~ ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$ ]] || die "\"$namespace\" is no name of a namespace"
  [[ $namespace != default ]] || die "default is served anyway"
  [[ -n $print ]] || "${kubectl[@]}" --context "$context" get namespace "$namespace" -o name >/dev/null ||
    die "create the namespace first: kubectl --context $context create namespace $namespace"
done
write_namespaces >"$work/namespaces.yaml"
write_kustomization >"$work/kustomization.yaml"
"${kubectl[@]}" kustomize "$work" >"$work/install.yaml"
if [[ -n $print ]]; then
  cat "$work/install.yaml"
  exit
fi
if [[ -n $registry ]]; then push; else load; fi
say "applying to $context"
"${kubectl[@]}" --context "$context" apply -f - <"$work/install.yaml" >"$work/applied" || die "kubectl apply failed"
grep -v ' unchanged$' "$work/applied" >&2 || say "nothing has changed"
for namespace in multicluster-service-account multicluster-service-account-webhook; do
  ((seconds)) || break
  "${kubectl[@]}" --context "$context" -n "$namespace" rollout status deployment --timeout="${seconds}s" </dev/null >/dev/null ||
    die "the pods of $namespace are not ready after $seconds s: kubectl --context $context -n $namespace describe pods"
done
say "installed; connect a source with: kubemcsa bootstrap $context SOURCE_CONTEXT"
