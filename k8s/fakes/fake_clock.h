#ifndef K8S_FAKES_FAKE_CLOCK_H_
#define K8S_FAKES_FAKE_CLOCK_H_

#include <absl/time/time.h>

#include <mutex>

#include "k8s/api/clock.h"

namespace k8s {

// A clock that stands until a test sets it. Thread-safe. Who sleeps by it must be told: Workqueue::Poke().
class FakeClock final : public Clock {
 public:
  absl::Time Now() const override;
  absl::Duration Monotonic() const override;

  // Time goes by, on both clocks.
  void Advance(absl::Duration span);
  // Somebody sets the wall clock; the monotonic one does not notice.
  void SetNow(absl::Time now);

 private:
  mutable std::mutex mu_;
  absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);  // guarded by mu_
  absl::Duration monotonic_ = absl::Hours(1);              // guarded by mu_
};

}  // namespace k8s

#endif  // K8S_FAKES_FAKE_CLOCK_H_
