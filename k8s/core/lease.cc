#include "k8s/core/lease.h"

namespace k8s {

LeaseDecision DecideLease(const LeaseView& view, const std::string& identity, absl::Duration now) {
  if (view.holder == identity) return LeaseDecision::kRenew;
  if (view.holder.empty() || now - view.last_change > view.lease_duration) return LeaseDecision::kAcquire;
  return LeaseDecision::kWait;
}

bool MayLead(const LeaseView& view, const std::string& identity, const LeaseTiming& timing, absl::Duration now) {
  return view.holder == identity && now - view.last_renewed < timing.renew_deadline;
}

}  // namespace k8s
