#ifndef WEBHOOK_INJECT_POD_H_
#define WEBHOOK_INJECT_POD_H_

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include <string>
#include <vector>

#include "k8s/core/json.h"
#include "webhook/import.h"
#include "webhook/pod_request.h"

namespace webhook {

struct Injection {
  k8s::JsonArray patch;  // RFC 6902; empty when the pod has everything already
  std::vector<std::string> warnings;
};

// Gives a pod what `request` asks for: volumes, mounts, variables, the sidecar (request.sidecar decided by now; without
// it none). `sidecar_image` empty: there is none to give. Only adds, but that the door in-cluster
// replaces what leads containers to the local cluster. `imports` are those of the request, in its order. An injected
// pod gets an empty patch; containers that others have added since get theirs.
//
// INVALID_ARGUMENT: the pod or its annotations must be changed. FAILED_PRECONDITION: an import is not ready, or the
// webhook is not set up for this; the same pod may be admitted later.
absl::StatusOr<Injection> InjectPod(const k8s::Json& pod, const PodRequest& request, absl::Span<const Import> imports,
                                    const std::string& sidecar_image);

}  // namespace webhook

#endif  // WEBHOOK_INJECT_POD_H_
