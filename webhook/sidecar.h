#ifndef WEBHOOK_SIDECAR_H_
#define WEBHOOK_SIDECAR_H_

#include <absl/status/status.h>
#include <absl/types/span.h>

#include <string>

#include "k8s/core/json.h"
#include "webhook/import.h"
#include "webhook/pod_patch.h"
#include "webhook/pod_request.h"

namespace webhook {

// Where a client in a pod looks for its token (client-go, rest.InClusterConfig).
inline constexpr char kTokenDirectory[] = "/var/run/secrets/kubernetes.io/serviceaccount";

// Adds the native sidecar, first of the init containers, and its volumes: the files that it shares, the imports'
// Secrets and its own token for the broker. FAILED_PRECONDITION when `image` is empty.
absl::Status AddSidecar(PodPatch& patch, const k8s::Json& pod, const PodRequest& request,
                        absl::Span<const Import> imports, const std::string& image);

// INVALID_ARGUMENT when a pod without sidecar has a container of its name: the broker believes its arguments.
absl::Status NoSidecar(const PodPatch& patch);

// Gives a container the sidecar's directory and the variable that names its socket.
absl::Status ShareSidecar(PodPatch& patch, const PodPatch::Container& container);

// The mount that shows the files of one import, which the sidecar keeps, at `path`.
k8s::JsonObject SidecarFilesMount(const std::string& import, std::string path);

}  // namespace webhook

#endif  // WEBHOOK_SIDECAR_H_
