#ifndef BROKER_CALLER_LIMITS_H_
#define BROKER_CALLER_LIMITS_H_

#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/time/time.h>

#include <cstddef>
#include <mutex>
#include <string>

#include "k8s/core/token_bucket.h"

namespace broker {

// How much one caller may ask for. Who asks for more gets RESOURCE_EXHAUSTED, and no other caller notices. Thread-safe.
class CallerLimits {
 public:
  // Those of a pod: its sidecar needs one stream, and opens it again every ten minutes.
  struct Limits {
    int streams = 4;
    double burst = 20;            // calls at once
    double calls_per_second = 2;  // in the long run
  };

  explicit CallerLimits(const Limits& limits) : limits_(limits) {}

  // One call of the caller `uid` at `now`, on the monotonic clock. RESOURCE_EXHAUSTED: too many of late.
  absl::Status Admit(const std::string& uid, absl::Duration now);

  // One of its streams begins; each that is OK needs a Close. RESOURCE_EXHAUSTED: too many are open.
  absl::Status Open(const std::string& uid, absl::Duration now);
  void Close(const std::string& uid, absl::Duration now);

  size_t size() const;  // callers that are remembered

 private:
  struct Account {
    k8s::TokenBucket calls;
    int streams = 0;
  };

  Account& AccountLocked(const std::string& uid, absl::Duration now);  // a new one if there is none
  static bool IsIdle(Account& account, absl::Duration now);
  void ForgetIdleLocked(absl::Duration now);

  const Limits limits_;
  mutable std::mutex mu_;
  // One block of memory: a node for each would hold a page of what its connection has freed.
  absl::flat_hash_map<std::string, Account> accounts_;  // guarded by mu_
  size_t forget_at_ = 1024;  // guarded by mu_: how many accounts are too many to keep idle ones
};

}  // namespace broker

#endif  // BROKER_CALLER_LIMITS_H_
