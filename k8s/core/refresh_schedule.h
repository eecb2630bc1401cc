#ifndef K8S_CORE_REFRESH_SCHEDULE_H_
#define K8S_CORE_REFRESH_SCHEDULE_H_

#include <absl/time/time.h>

#include "k8s/core/bound_token.h"

namespace k8s {

// The age at which to replace `token`: between 50% and 60% of its lifetime. Where in between follows from the token's
// own id, so that imports made together part, yet a restarted or a second broker finds the same instant without any
// record. Half a life is the outage that we promise to ride out; the kubelet waits for 80% (pkg/kubelet/token,
// requiresRefresh).
absl::Duration RefreshAge(const BoundToken& token);

// How old `token` is. `received_ago` is the time on our monotonic clock since it was received, or InfiniteDuration when
// this process did not receive it; then its age is taken from `server_now`, the issuing server's clock as we know it.
// Never negative.
absl::Duration TokenAge(const BoundToken& token, absl::Duration received_ago, absl::Time server_now);

}  // namespace k8s

#endif  // K8S_CORE_REFRESH_SCHEDULE_H_
