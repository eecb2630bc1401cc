#include "k8s/fakes/fake_clock.h"

namespace k8s {

absl::Time FakeClock::Now() const {
  std::lock_guard lock(mu_);
  return now_;
}

absl::Duration FakeClock::Monotonic() const {
  std::lock_guard lock(mu_);
  return monotonic_;
}

void FakeClock::Advance(absl::Duration span) {
  std::lock_guard lock(mu_);
  now_ += span;
  monotonic_ += span;
}

void FakeClock::SetNow(absl::Time now) {
  std::lock_guard lock(mu_);
  now_ = now;
}

}  // namespace k8s
