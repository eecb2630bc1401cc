#include "broker/config_refresher.h"

#include <absl/random/random.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "k8s/api/log.h"
#include "k8s/core/build_secret.h"
#include "k8s/core/refresh_schedule.h"

namespace broker {
namespace {

// What nobody wants any more is kept for so long: a sidecar that opens its stream again finds it.
constexpr absl::Duration kLinger = absl::Minutes(1);
constexpr int kLaneLimit = 8;

// Reads of the target are one lane, TokenRequests one for each source: a source that hangs delays only its own.
std::string LaneOf(const k8s::ServiceAccountImport* import) {
  const bool mints = import != nullptr && import->spec.delivery == k8s::Delivery::kBroker;
  return mints ? import->spec.cluster_name : "";
}

}  // namespace

ConfigRefresher::ConfigRefresher(const ConfigRefresherDeps& deps)
    : deps_(deps),
      store_({.on_wanted = [this](const k8s::ObjectKey& key) { Enqueue(key); },
              .on_unwanted = [this](const k8s::ObjectKey& key) { DropLater(key); }}),
      queue_(deps.clock, {.lane_limit = kLaneLimit}),
      workers_(queue_, kLaneLimit, [this](const k8s::Workqueue::Item& item) { Work(item); }) {}

void ConfigRefresher::Enqueue(const k8s::ObjectKey& key) {
  if (store_.IsKept(key)) queue_.Add(key, LaneOf(deps_.imports.Get(key).get()));
}

void ConfigRefresher::EnqueueAll(const std::string& namespace_name, const std::string& cluster) {
  for (const auto& import : deps_.imports.List(namespace_name)) {
    if (cluster.empty() || import->spec.cluster_name == cluster) Enqueue(import->meta.key());
  }
}

void ConfigRefresher::DropLater(const k8s::ObjectKey& key) {
  {
    std::lock_guard lock(mu_);
    drop_at_[key] = deps_.clock.Monotonic() + kLinger;
  }
  queue_.AddAfter(key, LaneOf(deps_.imports.Get(key).get()), kLinger);
}

// Whether the import was dropped; else how long until it may be, if nobody wants it.
bool ConfigRefresher::DropDue(const k8s::ObjectKey& key, absl::Duration& left) {
  left = absl::InfiniteDuration();
  std::lock_guard lock(mu_);
  if (const auto due = drop_at_.find(key); due != drop_at_.end()) {
    left = due->second - deps_.clock.Monotonic();
    if (left > absl::ZeroDuration()) return false;
    drop_at_.erase(due);
    left = absl::InfiniteDuration();
  } else if (store_.IsKept(key)) {
    return false;
  }
  if (!store_.DropUnwanted(key)) return false;
  held_.erase(key);
  deps_.on_demand.Forget(key);
  return true;
}

void ConfigRefresher::Work(const k8s::Workqueue::Item& item) {
  absl::Duration left;
  if (DropDue(item.key, left)) {
    queue_.Forget(item.key);
    return;
  }
  std::shared_ptr<Held> held;
  {
    std::lock_guard lock(mu_);
    std::shared_ptr<Held>& place = held_[item.key];
    if (place == nullptr) place = std::make_shared<Held>();
    held = place;
  }
  const auto import = deps_.imports.Get(item.key);
  if (const std::string uid = import == nullptr ? "" : import->meta.uid; held->uid != uid) {
    // Another of that name, or none: what was held of the one before is nothing to it.
    *held = Held{.uid = uid};
    deps_.on_demand.Forget(item.key);
  }
  const std::string lane = LaneOf(import.get());
  Requeue requeue;
  if (import != nullptr && import->spec.delivery == k8s::Delivery::kBroker) {
    requeue = TakeToken(*import, *held);
  } else if (import != nullptr) {
    requeue = ReadSecret(*import, *held);
  }
  if (requeue.how == Requeue::How::kBackOff) {
    absl::BitGen rng;
    queue_.AddWithBackoff(item.key, lane, absl::Uniform(rng, 0.0, 1.0));
  } else {
    queue_.Forget(item.key);
  }
  absl::Duration next = left;
  if (requeue.how == Requeue::How::kAfter) next = std::min(next, requeue.after);
  if (!held->awaits) next = std::min(next, Publish(item.key, import.get(), *held));
  if (next != absl::InfiniteDuration()) queue_.AddAfter(item.key, lane, next);
}

Requeue ConfigRefresher::ReadSecret(const k8s::ServiceAccountImport& import, Held& held) {
  const k8s::ObjectMeta& meta = import.meta;
  held.status = import.status;
  held.awaits = false;
  switch (deps_.secrets.StateOf(meta.namespace_name)) {
    case k8s::ScopedWatch::State::kStarting:
      held.awaits = true;  // what it waits for queues it anew; the back-off is for the case that it never comes
      return {.how = Requeue::How::kBackOff};
    case k8s::ScopedWatch::State::kForbidden:
      held.Forget("the broker has no right to Secrets in its namespace");
      return {};
    case k8s::ScopedWatch::State::kSynced:
    case k8s::ScopedWatch::State::kFailing:
      break;
  }
  const k8s::ObjectKey key{meta.namespace_name, k8s::SecretName(meta.name, meta.uid)};
  const k8s::ScopedWatch::Pointer seen = deps_.secrets.Get(key);
  if (seen == nullptr) {
    held.Forget("it has no Secret yet");
    return {};
  }
  if (seen->resource_version == held.secret_version) return {};
  const absl::StatusOr<k8s::Json> secret = deps_.target.Get(k8s::kSecrets, key);
  if (absl::IsNotFound(secret.status())) {
    held.Forget("it has no Secret yet");
    return {};
  }
  if (!secret.ok()) {
    k8s::Log(k8s::LogLevel::kWarn, "cannot read the Secret of an import that is subscribed to; will try again",
             {{"import", k8s::ToString(meta.key())}, {"error", std::string(secret.status().message())}});
    // What was read before is as good as any; only who has nothing is told.
    if (!held.config.ok()) held.Forget("its Secret cannot be read just now");
    return {.how = Requeue::How::kBackOff};
  }
  const k8s::ObjectMeta read = k8s::ParseObjectMeta(*secret);
  const bool owned = std::any_of(read.owners.begin(), read.owners.end(),
                                 [&](const k8s::OwnerReference& owner) { return owner.uid == meta.uid; });
  held.Forget("the Secret of that name is not the import's own");
  held.secret_version = read.resource_version;
  if (owned) held.config = k8s::ParseRemoteConfig(meta.name, import.spec.cluster_name, k8s::ParseSecretData(*secret));
  return {};
}

Requeue ConfigRefresher::TakeToken(const k8s::ServiceAccountImport& import, Held& held) {
  held.secret_version.clear();
  const Requeue requeue = deps_.on_demand.ReconcileOnDemand(import, held.on_demand);
  held.status = held.on_demand.status;
  held.config = k8s::ParseRemoteConfig(import.meta.name, import.spec.cluster_name, held.on_demand.data);
  held.awaits = held.on_demand.awaits;
  return requeue;
}

absl::Duration ConfigRefresher::Publish(const k8s::ObjectKey& key, const k8s::ServiceAccountImport* import,
                                        Held& held) {
  const absl::Duration now = deps_.clock.Monotonic();
  const ConfigStore::Pointer before = store_.Get(key);
  const absl::Duration age = held.config.ok() ? AgeOf(*held.config) : absl::ZeroDuration();
  auto snapshot = std::make_shared<const ConfigSnapshot>(
      BuildSnapshot(key.name, import, held.status, held.config, age, now, before.get()));
  const mcsa::v1::Config::State state = StateAt(*snapshot, now);
  const bool news = before == nullptr || !SaysTheSame(*before, *snapshot) || state != held.told;
  held.told = state;
  const absl::Duration next = NextChange(*snapshot, now);
  store_.Set(key, std::move(snapshot), news);
  return next;
}

absl::Duration ConfigRefresher::AgeOf(const k8s::RemoteConfig& config) const {
  const auto source = deps_.sources.Find(config.cluster_name);
  return k8s::TokenAge(config.token, absl::InfiniteDuration(),
                       source.ok() ? (*source)->ServerNow() : deps_.clock.Now());
}

}  // namespace broker
