#include "k8s/api/clock.h"

#include <absl/time/clock.h>
#include <time.h>

namespace k8s {
namespace {

class MachineClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }

  absl::Duration Monotonic() const override {
    timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return absl::DurationFromTimespec(time);
  }
};

}  // namespace

const Clock& SystemClock() {
  static const MachineClock* const kClock = new MachineClock();
  return *kClock;
}

}  // namespace k8s
