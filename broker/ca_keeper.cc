#include "broker/ca_keeper.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "k8s/api/certificate_authority.h"
#include "k8s/api/log.h"
#include "k8s/core/build_secret.h"
#include "k8s/core/names.h"

namespace broker {
namespace {

constexpr absl::Duration kRetry = absl::Seconds(2);
// The longest sleep: a clock that is set, or a machine that slept, is noticed by then.
constexpr absl::Duration kMaxSleep = absl::Hours(1);

}  // namespace

CaKeeper::CaKeeper(const k8s::Client& target, const k8s::Clock& clock, Options options)
    : target_(target), clock_(clock), options_(std::move(options)), thread_([this] { Loop(); }) {}

CaKeeper::~CaKeeper() {
  {
    std::lock_guard lock(mu_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void CaKeeper::Wake() {
  {
    std::lock_guard lock(mu_);
    woken_ = true;
  }
  wake_.notify_all();
}

void CaKeeper::Loop() {
  absl::Duration sleep = absl::ZeroDuration();
  bool failed = false;
  std::unique_lock lock(mu_);
  while (true) {
    wake_.wait_for(lock, absl::ToChronoNanoseconds(sleep), [&] { return stopping_ || (woken_ && !failed); });
    if (stopping_) return;
    woken_ = false;
    lock.unlock();
    sleep = kMaxSleep;
    // What a step that failed has written wakes us: it would be tried again without end.
    failed = false;
    if (options_.is_leader()) {
      const absl::StatusOr<absl::Time> next = Step();
      if (next.ok()) {
        sleep = std::clamp(*next - clock_.Now(), absl::ZeroDuration(), kMaxSleep);
      } else {
        k8s::Log(k8s::LogLevel::kWarn, "cannot keep a CA; will try again",
                 {{"secret", k8s::ToString(options_.secret)}, {"error", std::string(next.status().message())}});
        sleep = kRetry;
        failed = true;
      }
    }
    lock.lock();
  }
}

absl::StatusOr<absl::Time> CaKeeper::Step() {
  absl::StatusOr<k8s::Json> secret = target_.Get(k8s::kSecrets, options_.secret);
  if (absl::IsNotFound(secret.status())) secret = k8s::JsonObject();
  if (!secret.ok()) return secret.status();
  const absl::StatusOr<k8s::CaState> stored = k8s::ParseCaSecret(*secret);
  if (!stored.ok()) return stored.status();
  const std::string bundle = k8s::BundleOf(*stored);
  bool published = false;
  if (!bundle.empty()) {
    const absl::StatusOr<bool> was = options_.publish(bundle);
    if (!was.ok()) return was.status();
    published = *was;
  }
  const std::string request = k8s::StringAt(*secret, {"metadata", "annotations", k8s::kRotateRequestedKey});
  const absl::Time now = clock_.Now();
  k8s::CaPlan plan = k8s::PlanCaRotation(*stored, request, published, options_.timing, now);
  if (plan.make != k8s::CaPlan::Make::kNothing) {
    absl::StatusOr<k8s::CertificateAndKey> made = k8s::MakeCa(options_.common_name, options_.timing.ca_lifetime, now);
    if (!made.ok()) return made.status();
    k8s::AddCa(plan, {.certificate = made->certificate, .key = made->key, .not_after = made->not_after}, now);
    k8s::Log(k8s::LogLevel::kInfo, "made a CA",
             {{"secret", k8s::ToString(options_.secret)}, {"notAfter", k8s::ToRfc3339(made->not_after)}});
  }
  if (plan.state == *stored) return plan.check_at;
  // First trusted, then used.
  if (const std::string next = k8s::BundleOf(plan.state); next != bundle) {
    if (!options_.is_leader()) return absl::UnavailableError("this replica no longer leads");
    if (const absl::StatusOr<bool> was = options_.publish(next); !was.ok()) return was.status();
  }
  if (absl::Status status = Store(*secret, plan.state); !status.ok()) return status;
  return std::max(plan.check_at, now);
}

// With the version that was read: another leader's CA is never overwritten.
absl::Status CaKeeper::Store(const k8s::Json& stored, const k8s::CaState& state) {
  if (!options_.is_leader()) return absl::UnavailableError("this replica no longer leads");
  const k8s::ObjectMeta before = k8s::ParseObjectMeta(stored);
  k8s::JsonObject metadata{{"name", options_.secret.name},
                           {"namespace", options_.secret.namespace_name},
                           {"labels", k8s::JsonObject{{k8s::kManagedByLabel, k8s::kManagedByValue}}}};
  if (!before.uid.empty()) {
    metadata["uid"] = before.uid;
    metadata["resourceVersion"] = before.resource_version;
  }
  return target_
      .Apply(k8s::kSecrets, k8s::BuildOpaqueSecret(std::move(metadata), k8s::BuildCaSecretData(state)),
             k8s::kFieldManager)
      .status();
}

}  // namespace broker
