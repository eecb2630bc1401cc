#ifndef K8S_API_TOKEN_REQUESTER_H_
#define K8S_API_TOKEN_REQUESTER_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <vector>

#include "k8s/api/client.h"
#include "k8s/core/bound_token.h"

namespace k8s {

// Mints short-lived ServiceAccount tokens in one cluster. Neither caches nor retries: the workqueue does the latter, so
// that a failing cluster meets one back-off, not two multiplied.
//
// `lifetime` is a wish in whole seconds, at least 600; the grant is in the result. Empty `audiences`: the API's own.
// Errors: NOT_FOUND, no such ServiceAccount. PERMISSION_DENIED, no right to it, or the fence refuses; the text says
// which. UNAVAILABLE or DEADLINE_EXCEEDED, cluster out of reach: safe to try again.
absl::StatusOr<BoundToken> RequestToken(const Client& client, const ObjectKey& account,
                                        const std::vector<std::string>& audiences, absl::Duration lifetime);

// Who the bearer of `token` is to this API server ("system:serviceaccount:ns:name"); UNAUTHENTICATED once it is
// revoked. Needs no right at all (SelfSubjectReview, Kubernetes 1.28+).
absl::StatusOr<std::string> ReviewSelf(const Client& client, const SecretString& token);

}  // namespace k8s

#endif  // K8S_API_TOKEN_REQUESTER_H_
