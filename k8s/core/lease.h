#ifndef K8S_CORE_LEASE_H_
#define K8S_CORE_LEASE_H_

#include <absl/time/time.h>

#include <string>

namespace k8s {

struct LeaseTiming {
  absl::Duration lease_duration = absl::Seconds(15);  // how long others wait for a silent holder
  absl::Duration renew_deadline = absl::Seconds(10);  // a holder that could not renew for so long stops leading
  absl::Duration retry_period = absl::Seconds(2);
};

// What a candidate knows of the Lease. Both times are on its own monotonic clock: the times that others write into the
// Lease are never compared with ours (client-go, tools/leaderelection), only whether they change.
struct LeaseView {
  std::string holder;             // "" when free
  absl::Duration lease_duration;  // as its holder wrote it
  absl::Duration last_change;     // when we first saw it as it is now
  absl::Duration last_renewed;    // when we last renewed it ourselves; -InfiniteDuration for never
};

enum class LeaseDecision {
  kWait,     // another holds it
  kAcquire,  // free, or its holder has been silent for the whole duration
  kRenew,    // it is ours
};

LeaseDecision DecideLease(const LeaseView& view, const std::string& identity, absl::Duration now);

// Whether `identity` may still act as the leader: the Lease names it and it renewed within the deadline.
bool MayLead(const LeaseView& view, const std::string& identity, const LeaseTiming& timing, absl::Duration now);

}  // namespace k8s

#endif  // K8S_CORE_LEASE_H_
