#ifndef WEBHOOK_POD_REQUEST_H_
#define WEBHOOK_POD_REQUEST_H_

#include <absl/status/statusor.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "k8s/core/json.h"

namespace webhook {

// How containers take their credential (docs/operations.md).
enum class Door { kFiles, kKubeconfig, kInCluster };

// What a pod's annotations ask for.
struct PodRequest {
  std::vector<std::string> imports;  // DNS-1123 subdomains, as listed, without duplicates; empty: nothing to do
  Door door = Door::kFiles;
  std::vector<std::string> containers;  // empty: all
  std::optional<bool> sidecar;          // nothing: as the namespace says
  k8s::JsonObject sidecar_resources;    // as in a container; empty: the webhook's default
  std::string sidecar_log_level = "info";
};

// More imports in one pod are refused: each may cost a request to the API server.
inline constexpr size_t kMaxImports = 32;

// INVALID_ARGUMENT names the annotation, its value and what it may be.
absl::StatusOr<PodRequest> ParsePodRequest(const std::map<std::string, std::string>& annotations);

// Reads "enabled" or "disabled"; nothing where the annotation is absent or empty. The same on a pod and on a namespace.
absl::StatusOr<std::optional<bool>> ParseSidecarWish(const std::map<std::string, std::string>& annotations);

}  // namespace webhook

#endif  // WEBHOOK_POD_REQUEST_H_
