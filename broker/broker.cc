#include "broker/broker.h"

#include <absl/random/random.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <utility>

#include "k8s/api/clock.h"
#include "k8s/api/log.h"
#include "k8s/core/names.h"

namespace broker {
namespace {

constexpr absl::Duration kSyncTimeout = absl::Minutes(2);
constexpr absl::Duration kSyncSlice = absl::Milliseconds(200);
// Most sources answer a TokenRequest in 5 ms; this many at once is what one API server does well (facts in DESIGN.md).
constexpr int kLaneLimit = 8;
// Beyond this many single watches, the cluster-wide form of the rights is the right one.
constexpr size_t kMaxServedNamespaces = 500;

// Our own status writes come back as changes; only what a user or an admin changed wants work.
bool WantsWork(const k8s::ServiceAccountImport& before, const k8s::ServiceAccountImport& after) {
  return before.meta.uid != after.meta.uid || before.meta.generation != after.meta.generation ||
         before.meta.annotations != after.meta.annotations || before.meta.labels != after.meta.labels ||
         before.meta.being_deleted != after.meta.being_deleted;
}

absl::StatusOr<k8s::ObjectMeta> ParseNamespace(const k8s::Json& object) {
  return k8s::ParseObjectMeta(object);
}

}  // namespace

Broker::Broker(const k8s::Client& target, const Options& options, k8s::Environment environment, Metrics& metrics)
    : options_(options),
      target_(target),
      metrics_(metrics),
      queue_(k8s::SystemClock(), {.lane_limit = kLaneLimit}),
      sources_(std::move(environment), k8s::SystemClock(),
               {.on_account = [this](const std::string& cluster,
                                     const k8s::ObjectKey& account) { EnqueueAccount(cluster, account); },
                .on_state = [this](const std::string& cluster) { EnqueueAll("", cluster); }}),
      events_(target, k8s::SystemClock(), k8s::kBrokerName, options.identity),
      imports_(target, k8s::kImports, "", {}, &k8s::ParseServiceAccountImport,
               [this](const k8s::ObjectKey& key, const ImportPointer& before, const ImportPointer& after) {
                 OnImport(key, before, after);
               }),
      policies_(target, k8s::kImportPolicies, "", {}, &k8s::ParseImportPolicy,
                [this](const auto&, const auto&, const auto& after) {
                  if (after != nullptr && k8s::BoundsImports(*after)) bounds_imports_ = true;
                  EnqueueAll();
                }),
      namespaces_(target, k8s::kNamespaces, "", {.metadata_only = true}, &ParseNamespace,
                  [this](const k8s::ObjectKey& key, const auto& before, const auto& after) {
                    if (before == nullptr || after == nullptr || before->labels != after->labels) EnqueueAll(key.name);
                    if (after != nullptr) return;
                    std::lock_guard lock(forget_mu_);
                    if (forgets_) secrets_.Forget(key.name);
                  }),
      reconciler_(DepsOf([this] { return election_->IsLeader(); })),
      on_demand_(DepsOf([] { return true; })),
      secrets_(
          target, k8s::kSecrets, absl::StrCat(k8s::kManagedByLabel, "=", k8s::kManagedByValue), kMaxServedNamespaces,
          [this](const k8s::ObjectKey&, const auto& before, const auto& after) { OnSecret(before, after); },
          [this](const std::string& namespace_name) { EnqueueAll(namespace_name); }) {
  election_ = std::make_unique<k8s::LeaseElection>(target, k8s::ObjectKey{options_.own_namespace, k8s::kBrokerName},
                                                   options_.identity, options_.lease, k8s::SystemClock(),
                                                   [this](bool leads) { OnLeader(leads); });
  std::lock_guard lock(forget_mu_);
  forgets_ = true;
}

ReconcilerDeps Broker::DepsOf(std::function<bool()> is_leader) {
  return {.target = target_,
          .own_namespace = options_.own_namespace,
          .source_imports = options_.source_imports,
          .imports = imports_.store(),
          .policies = policies_.store(),
          .namespaces = namespaces_.store(),
          .secrets = secrets_,
          .sources = sources_,
          .events = events_,
          .metrics = metrics_,
          .clock = k8s::SystemClock(),
          .is_leader = std::move(is_leader)};
}

Broker::~Broker() {
  Stop();
  {
    std::lock_guard lock(forget_mu_);
    forgets_ = false;
  }
  std::unique_ptr<Serving> serving;  // these end outside the lock, which their threads may wait for
  std::unique_ptr<WebhookCa> webhook_ca;
  {
    std::lock_guard lock(serving_mu_);
    serving.swap(serving_);
    webhook_ca.swap(webhook_ca_);
  }
  serving.reset();
  webhook_ca.reset();
  workers_.reset();
  election_.reset();  // gives the Lease back, now that nothing writes any more
  sources_.Clear();   // their watches call back into what goes next
}

void Broker::AddContext(const std::string& cluster, const absl::StatusOr<k8s::ClusterAccess>& access) {
  sources_.Set(cluster, access, SourceRegistry::Origin::kContext);
  if (const auto source = sources_.Find(cluster); !source.ok()) {
    k8s::Log(k8s::LogLevel::kWarn, "a context is no source because it cannot be used",
             {{"context", cluster}, {"error", std::string(source.status().message())}});
  }
}

absl::Status Broker::Run() {
  // In slices, so that Stop() is heard meanwhile.
  const absl::Time end = absl::Now() + kSyncTimeout;
  while (!stopping_ && !(imports_.WaitForSync(kSyncSlice) && policies_.WaitForSync(kSyncSlice) &&
                         namespaces_.WaitForSync(kSyncSlice))) {
    if (absl::Now() < end) continue;
    return absl::UnavailableError(
        "the target's imports, policies and namespaces could not be listed; the log says why");
  }
  workers_ =
      std::make_unique<k8s::WorkerPool>(queue_, kLaneLimit, [this](const k8s::Workqueue::Item& item) { Work(item); });
  if (absl::Status status = Serve(); !status.ok()) return status;
  {
    auto webhook_ca = std::make_unique<WebhookCa>(target_, k8s::SystemClock(), options_.ca_propagation,
                                                  [this] { return election_->IsLeader(); });
    std::lock_guard lock(serving_mu_);
    webhook_ca_ = std::move(webhook_ca);
  }
  WakeCaKeepers();
  ready_ = true;
  stopping_.wait(false);
  return absl::OkStatus();
}

absl::Status Broker::Serve() {
  if (options_.grpc_address.empty()) return absl::OkStatus();
  auto serving = std::make_unique<Serving>(
      options_,
      ConfigRefresherDeps{.target = target_,
                          .imports = imports_.store(),
                          .secrets = secrets_,
                          .sources = sources_,
                          .on_demand = on_demand_,
                          .clock = k8s::SystemClock()},
      [this] { return election_->IsLeader(); }, metrics_);
  Serving& started = *serving;
  {
    std::lock_guard lock(serving_mu_);
    serving_ = std::move(serving);
  }
  WakeCaKeepers();
  return started.Start(stopping_);
}

void Broker::WithServing(const std::function<void(Serving&)>& tell) {
  std::shared_lock lock(serving_mu_);
  if (serving_ != nullptr) tell(*serving_);
}

// After each change of leader, and once they are there to be woken: the election may have been faster.
void Broker::WakeCaKeepers() {
  std::shared_lock lock(serving_mu_);
  if (serving_ != nullptr) serving_->WakeCaKeeper();
  if (webhook_ca_ != nullptr) webhook_ca_->Wake();
}

void Broker::Stop() {
  stopping_ = true;
  stopping_.notify_all();
  queue_.ShutDown();
}

void Broker::UpdateMetrics() {
  size_t ready = 0;
  const auto imports = imports_.store().List();
  for (const auto& import : imports) {
    const k8s::Condition* condition = k8s::FindCondition(import->status, "Ready");
    ready += condition != nullptr && condition->status;
  }
  metrics_.SetImports(ready, imports.size() - ready);
  metrics_.SetQueueDepth(queue_.depth());
  for (const std::string& cluster : sources_.Names()) {
    metrics_.SetSource(cluster, sources_.View(cluster).state == SourceView::State::kReady);
  }
}

void Broker::OnImport(const k8s::ObjectKey& key, const ImportPointer& before, const ImportPointer& after) {
  const auto account_of = [](const k8s::ServiceAccountImport& import) {
    return AccountKey(import.spec.cluster_name, import.spec.namespace_name, import.spec.name);
  };
  {
    std::lock_guard lock(mu_);
    if (before != nullptr) {
      const auto entry = imports_of_account_.find(account_of(*before));
      if (entry != imports_of_account_.end() && entry->second.erase(key) > 0 && entry->second.empty())
        imports_of_account_.erase(entry);
    }
    if (after != nullptr) imports_of_account_[account_of(*after)].insert(key);
  }
  WithServing([&](Serving& serving) {
    serving.OnImport(key);
    if (before == nullptr) serving.WakeCaKeeper();  // maybe the first of its namespace
  });
  const bool was_source =
      before != nullptr && IsSourceCredential(*before, options_.own_namespace, options_.source_imports);
  const bool is_source =
      after != nullptr && IsSourceCredential(*after, options_.own_namespace, options_.source_imports);
  if (was_source && (!is_source || before->spec.cluster_name != after->spec.cluster_name)) {
    sources_.Remove(before->spec.cluster_name);
    metrics_.RemoveSource(before->spec.cluster_name);
  }
  const bool makes_room = before != nullptr && (after == nullptr || before->meta.generation != after->meta.generation);
  if (makes_room && bounds_imports_) EnqueueAll(key.namespace_name);
  if (after != nullptr && before != nullptr && !WantsWork(*before, *after)) return;
  Enqueue(key, after != nullptr ? after->spec.cluster_name : before->spec.cluster_name);
}

void Broker::OnSecret(const k8s::ScopedWatch::Pointer& before, const k8s::ScopedWatch::Pointer& after) {
  const k8s::ObjectMeta& secret = after != nullptr ? *after : *before;
  for (const k8s::OwnerReference& owner : secret.owners) {
    if (owner.kind != k8s::kImportKind) continue;
    WithServing([&](Serving& serving) { serving.OnImport({secret.namespace_name, owner.name}); });
    if (after != nullptr && reconciler_.WroteIt(owner.uid, after->resource_version)) continue;
    const k8s::ObjectKey key{secret.namespace_name, owner.name};
    if (const auto import = imports_.store().Get(key)) Enqueue(key, import->spec.cluster_name);
  }
}

void Broker::OnLeader(bool leads) {
  k8s::Log(k8s::LogLevel::kInfo, leads ? "this replica leads" : "this replica no longer leads",
           {{"identity", options_.identity}});
  metrics_.SetLeader(leads);
  WakeCaKeepers();
  if (!leads) return;
  reconciler_.Reset();
  EnqueueAll();
}

void Broker::EnqueueAll(const std::string& namespace_name, const std::string& cluster) {
  WithServing([&](Serving& serving) { serving.OnAny(namespace_name, cluster); });
  for (const auto& import : imports_.store().List(namespace_name)) {
    if (cluster.empty() || import->spec.cluster_name == cluster) Enqueue(import->meta.key(), import->spec.cluster_name);
  }
}

// A lane for each source, so that one that hangs delays none but its own. Names that no source has share one: users
// make them up.
void Broker::Enqueue(const k8s::ObjectKey& key, const std::string& cluster) {
  queue_.Add(key, absl::IsNotFound(sources_.Find(cluster).status()) ? "" : cluster);
}

void Broker::EnqueueAccount(const std::string& cluster, const k8s::ObjectKey& account) {
  std::lock_guard lock(mu_);
  const auto imports = imports_of_account_.find({cluster, account.namespace_name, account.name});
  if (imports == imports_of_account_.end()) return;
  for (const k8s::ObjectKey& key : imports->second) {
    Enqueue(key, cluster);
    WithServing([&](Serving& serving) { serving.OnImport(key); });
  }
}

void Broker::Work(const k8s::Workqueue::Item& item) {
  absl::BitGen rng;
  const Requeue requeue = reconciler_.Reconcile(item.key);
  switch (requeue.how) {
    case Requeue::How::kNever:
      queue_.Forget(item.key);
      metrics_.CountReconcile("done");
      break;
    case Requeue::How::kAfter:
      queue_.Forget(item.key);
      queue_.AddAfter(item.key, item.lane, requeue.after);
      metrics_.CountReconcile("done");
      break;
    case Requeue::How::kBackOff:
      queue_.AddWithBackoff(item.key, item.lane, absl::Uniform(rng, 0.0, 1.0));
      metrics_.CountReconcile("retry");
  }
}

}  // namespace broker
