#include "k8s/api/lock_checks.h"

#include <absl/synchronization/mutex.h>

namespace k8s {

void SkipLockOrderChecks() {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

}  // namespace k8s
