#ifndef K8S_CORE_TOKEN_BUCKET_H_
#define K8S_CORE_TOKEN_BUCKET_H_

#include <absl/time/time.h>

#include <algorithm>

namespace k8s {

// A limit of `burst` at once and of `per_second` in the long run. All `now` are on the monotonic clock. Not
// thread-safe.
class TokenBucket {
 public:
  // Full at `now`.
  TokenBucket(double burst, double per_second, absl::Duration now)
      : burst_(burst), per_second_(per_second), left_(burst), at_(now) {}

  // Whether one more may pass, which then has.
  bool Take(absl::Duration now) {
    Refill(now);
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

  bool IsFull(absl::Duration now) {
    Refill(now);
    return left_ >= burst_;
  }

 private:
  void Refill(absl::Duration now) {
    left_ = std::min(burst_, left_ + absl::ToDoubleSeconds(now - at_) * per_second_);
    at_ = now;
  }

  double burst_, per_second_;
  double left_;
  absl::Duration at_;
};

}  // namespace k8s

#endif  // K8S_CORE_TOKEN_BUCKET_H_
