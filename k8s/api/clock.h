#ifndef K8S_API_CLOCK_H_
#define K8S_API_CLOCK_H_

#include <absl/time/time.h>

namespace k8s {

// Two clocks: Now() to talk about time with others, Monotonic() to measure it. Someone sets the first one back and
// forth (NTP, a resumed machine); nothing may be renewed late because of that, so that spans are always differences of
// Monotonic(). Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  // The wall clock.
  virtual absl::Time Now() const = 0;

  // Time since some fixed instant; goes on while the machine sleeps (CLOCK_BOOTTIME), never back.
  virtual absl::Duration Monotonic() const = 0;
};

// The machine's clocks. Lives for ever.
const Clock& SystemClock();

}  // namespace k8s

#endif  // K8S_API_CLOCK_H_
