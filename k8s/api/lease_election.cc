#include "k8s/api/lease_election.h"

#include <chrono>
#include <utility>

#include "k8s/api/log.h"

namespace k8s {
namespace {

// metav1.MicroTime.
std::string ToMicroTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

}  // namespace

LeaseElection::LeaseElection(const Client& client, ObjectKey lease, std::string identity, LeaseTiming timing,
                             const Clock& clock, std::function<void(bool leads)> on_change)
    : client_(client),
      key_(std::move(lease)),
      identity_(std::move(identity)),
      timing_(timing),
      clock_(clock),
      on_change_(std::move(on_change)),
      thread_([this] { Loop(); }) {}

LeaseElection::~LeaseElection() {
  {
    std::lock_guard lock(mu_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
  if (!IsLeader()) return;
  if (absl::StatusOr<Json> lease = client_.Get(kLeases, key_); lease.ok())
    Write(*std::move(lease), /*exists=*/true, "");
}

bool LeaseElection::IsLeader() const {
  std::lock_guard lock(mu_);
  return MayLead(view_, identity_, timing_, clock_.Monotonic());
}

int64_t LeaseElection::leader_generation() const {
  std::lock_guard lock(mu_);
  return generation_;
}

void LeaseElection::Loop() {
  std::unique_lock lock(mu_);
  while (!stopping_) {
    lock.unlock();
    Try();
    const bool leads = IsLeader();
    const int64_t term = leader_generation();
    // A term can end and the next begin between two looks, while a request hangs. What came due in between was left
    // undone, so it is told as two changes.
    if (led_ && (!leads || term != told_term_)) on_change_(false);
    if (leads && (!led_ || term != told_term_)) on_change_(true);
    led_ = leads;
    told_term_ = term;
    lock.lock();
    wake_.wait_for(lock, absl::ToChronoNanoseconds(timing_.retry_period), [&] { return stopping_; });
  }
}

void LeaseElection::Try() {
  absl::StatusOr<Json> lease = client_.Get(kLeases, key_);
  if (absl::IsNotFound(lease.status())) {
    Write(JsonObject{{"apiVersion", "coordination.k8s.io/v1"},
                     {"kind", "Lease"},
                     {"metadata", JsonObject{{"name", key_.name}, {"namespace", key_.namespace_name}}},
                     {"spec", JsonObject{}}},
          /*exists=*/false, identity_);
    return;
  }
  if (!lease.ok()) {
    Log(LogLevel::kWarn, "cannot read the Lease",
        {{"lease", ToString(key_)}, {"error", std::string(lease.status().message())}});
    return;
  }
  Observe(*lease);
  LeaseView view;
  {
    std::lock_guard lock(mu_);
    view = view_;
  }
  if (DecideLease(view, identity_, clock_.Monotonic()) != LeaseDecision::kWait)
    Write(*std::move(lease), /*exists=*/true, identity_);
}

void LeaseElection::Observe(const Json& lease) {
  const std::string version = StringAt(lease, {"metadata", "resourceVersion"});
  if (version == seen_version_) return;
  seen_version_ = version;
  std::lock_guard lock(mu_);
  view_.holder = StringAt(lease, {"spec", "holderIdentity"});
  view_.lease_duration = absl::Seconds(IntAt(lease, {"spec", "leaseDurationSeconds"}));
  view_.last_change = clock_.Monotonic();
}

void LeaseElection::Write(Json lease, bool exists, const std::string& holder) {
  // From before the request: the renewal counts from when we asked, not from when the answer came.
  const absl::Duration asked_at = clock_.Monotonic();
  const std::string now = ToMicroTime(clock_.Now());
  JsonObject& spec = lease.get_object()["spec"].is_object() ? lease.get_object()["spec"].get_object()
                                                            : lease.get_object()["spec"].emplace_object();
  if (StringAt(lease, {"spec", "holderIdentity"}) != holder) {
    spec["acquireTime"] = now;
    spec["leaseTransitions"] = IntAt(lease, {"spec", "leaseTransitions"}) + 1;
  }
  spec["holderIdentity"] = holder;
  // A Lease that is given back can be taken after a second.
  spec["leaseDurationSeconds"] = holder.empty() ? 1 : absl::ToInt64Seconds(timing_.lease_duration);
  spec["renewTime"] = now;
  // The resourceVersion in it makes this fail when another candidate was faster.
  absl::StatusOr<Json> written =
      exists ? client_.Update(kLeases, lease) : client_.Create(kLeases, key_.namespace_name, lease);
  if (!written.ok()) {
    if (!absl::IsAborted(written.status()) && !absl::IsAlreadyExists(written.status())) {
      Log(LogLevel::kWarn, "cannot write the Lease",
          {{"lease", ToString(key_)}, {"error", std::string(written.status().message())}});
    }
    return;
  }
  // Asked before the view changes: whether this write renews a term or begins one.
  const bool led = IsLeader();
  Observe(*written);
  std::lock_guard lock(mu_);
  if (!led && !holder.empty()) ++generation_;
  view_.last_renewed = holder.empty() ? -absl::InfiniteDuration() : asked_at;
}

}  // namespace k8s
