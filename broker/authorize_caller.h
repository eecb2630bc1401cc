#ifndef BROKER_AUTHORIZE_CALLER_H_
#define BROKER_AUTHORIZE_CALLER_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/core/bound_token.h"
#include "k8s/core/json.h"

// PURE: who may have which import over gRPC. Errors carry the codes and next steps of config_service.proto.
namespace broker {

// The pod whose token came with a call, as the API server vouches for it.
struct Caller {
  std::string namespace_name;
  std::string pod_name;
  std::string pod_uid;
  std::string account;   // "system:serviceaccount:<namespace>:<name>"
  std::string token_id;  // "JTI=<uuid>" of the pod's token, not of an import's
};

// A pod that the webhook has given a sidecar.
struct InjectedPod {
  std::string uid;
  bool injected = false;             // labelled so, and with the sidecar's container
  std::vector<std::string> imports;  // of the sidecar's arguments, which cannot be changed; sorted
};

// What a caller gets of what it asked for; both sorted, together all that was asked.
struct Grant {
  std::vector<std::string> allowed;
  std::vector<std::string> refused;  // not in the pod's list
};

// The longest list of imports that is read, of a request or of a pod.
inline constexpr size_t kMaxImportsOfPod = 256;

// Reads "Bearer <token>" of a call, and refuses by the token's own words what the API server need not be asked about:
// it must be for us and for nobody else, or whoever else received it could use it here. UNAUTHENTICATED.
absl::StatusOr<k8s::BoundToken> ParseBearer(std::string_view authorization);

// Reads the API server's answer about `token`. UNAUTHENTICATED: it refuses the token, or the token is bound to no pod.
absl::StatusOr<Caller> ParseTokenReview(const k8s::Json& review, const k8s::BoundToken& token);

InjectedPod ParseInjectedPod(const k8s::Json& pod);

// `pod` is null when there is no such pod any more. No `names`: all of the pod's. UNAUTHENTICATED: the pod is gone.
// PERMISSION_DENIED: it has no sidecar of ours. INVALID_ARGUMENT: a name is no name, or there are too many.
absl::StatusOr<Grant> AuthorizeCaller(const Caller& caller, const InjectedPod* pod,
                                      const std::vector<std::string>& names);

}  // namespace broker

#endif  // BROKER_AUTHORIZE_CALLER_H_
