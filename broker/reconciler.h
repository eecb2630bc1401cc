#ifndef BROKER_RECONCILER_H_
#define BROKER_RECONCILER_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "broker/metrics.h"
#include "broker/plan_import.h"
#include "broker/source.h"
#include "k8s/api/client.h"
#include "k8s/api/clock.h"
#include "k8s/api/event_recorder.h"
#include "k8s/api/informer.h"
#include "k8s/api/scoped_watch.h"
#include "k8s/core/import_policy.h"
#include "k8s/core/service_account_import.h"

namespace broker {

// What the Reconciler reads and writes through; all borrowed.
struct ReconcilerDeps {
  const k8s::Client& target;
  const std::string& own_namespace;
  const std::set<std::string>& source_imports;  // as in Options
  const k8s::InformerStore<k8s::ServiceAccountImport>& imports;
  const k8s::InformerStore<k8s::ImportPolicy>& policies;
  const k8s::InformerStore<k8s::ObjectMeta>& namespaces;
  k8s::ScopedWatch& secrets;
  SourceRegistry& sources;
  k8s::EventRecorder& events;
  Metrics& metrics;
  const k8s::Clock& clock;
  std::function<bool()> is_leader;  // asked before each write
};

// When an import wants to be looked at again.
struct Requeue {
  enum class How { kNever, kAfter, kBackOff };
  How how = How::kNever;
  absl::Duration after = absl::ZeroDuration();
};

// Delivery Broker: what a replica holds of an import, in memory only.
struct OnDemandToken {
  std::map<std::string, k8s::SecretString> data;  // as a Secret's; empty without a token
  k8s::ImportStatus status;                       // what this replica finds; never written to the cluster
  bool awaits = false;                            // nothing can be said yet: its source is not registered
};

// Brings one import and its Secret to where they should be. Doing it twice changes nothing more. Thread-safe for
// different keys; the Workqueue never hands out one key twice.
class Reconciler {
 public:
  explicit Reconciler(const ReconcilerDeps& deps) : deps_(deps) {}

  Requeue Reconcile(const k8s::ObjectKey& key);

  // Delivery Broker: the same for a token that this replica holds for those who subscribed to it.
  Requeue ReconcileOnDemand(const k8s::ServiceAccountImport& import, OnDemandToken& held);

  // Whether a change of this Secret was our own last write of it.
  bool WroteIt(const std::string& import_uid, const std::string& secret_resource_version) const;

  // Forgets an import that is gone, or that nobody subscribes to any more.
  void Forget(const k8s::ObjectKey& key);

  // Forgets what this replica wrote: another one may lead meanwhile.
  void Reset();

 private:
  // What this replica last did for an import. The watch may lag behind it, so it goes before what the watch shows.
  struct Written {
    k8s::ImportStatus status;
    std::string secret_version;
    bool secret_refused = false;  // the latest write of the Secret failed
    std::string token_id;
    absl::Time token_issued_at = absl::InfinitePast();
    absl::Duration received_at = -absl::InfiniteDuration();  // monotonic: when that token came
    absl::Duration reviewed_at = -absl::InfiniteDuration();  // monotonic: when its source last accepted it
  };

  Requeue FollowSource(const k8s::ServiceAccountImport& import);
  absl::StatusOr<Observed> Gather(const k8s::ServiceAccountImport& import);
  std::shared_ptr<const k8s::ServiceAccountImport> SourceImport(const std::string& cluster) const;
  bool AwaitsSource(const k8s::ServiceAccountImport& import) const;
  void GatherSecret(Observed& observed, const std::optional<Written>& written);
  absl::Status GatherHeld(Observed& observed, const std::optional<Written>& written);
  absl::Status GatherPolicy(Observed& observed) const;
  void GatherSource(Observed& observed, const std::optional<Written>& written);
  absl::Status TryToWrite(const Observed& observed) const;
  Plan Mint(Observed& observed, absl::Duration lifetime);
  absl::Status Apply(const Observed& observed, Plan& plan);
  absl::Status ApplySecret(const Observed& observed, const Plan& plan);
  void DeletePredecessorSecrets(const k8s::ServiceAccountImport& import);
  std::map<std::string, k8s::SecretString> SourceCredential(const Observed& observed) const;
  void RegisterSource(const Observed& observed, const std::map<std::string, k8s::SecretString>& data);

  std::optional<Written> FindWritten(const std::string& uid) const;
  void UpdateWritten(const k8s::ServiceAccountImport& import, const std::function<void(Written&)>& change);

  const ReconcilerDeps deps_;
  mutable std::mutex mu_;
  std::map<std::string, Written> written_;      // guarded by mu_; by the import's UID
  std::map<k8s::ObjectKey, std::string> uids_;  // guarded by mu_; to forget deleted imports
};

// Whether the import is the broker's own credential for a source: in its namespace, and labelled or named in `listed`.
bool IsSourceCredential(const k8s::ServiceAccountImport& import, const std::string& own_namespace,
                        const std::set<std::string>& listed);

}  // namespace broker

#endif  // BROKER_RECONCILER_H_
