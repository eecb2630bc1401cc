#ifndef BROKER_CONFIG_REFRESHER_H_
#define BROKER_CONFIG_REFRESHER_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "broker/config_store.h"
#include "broker/reconciler.h"
#include "broker/source.h"
#include "k8s/api/client.h"
#include "k8s/api/clock.h"
#include "k8s/api/informer_store.h"
#include "k8s/api/scoped_watch.h"
#include "k8s/api/worker_pool.h"
#include "k8s/api/workqueue.h"
#include "k8s/core/remote_config.h"
#include "k8s/core/service_account_import.h"

namespace broker {

// What the ConfigRefresher reads; all borrowed.
struct ConfigRefresherDeps {
  const k8s::Client& target;
  const k8s::InformerStore<k8s::ServiceAccountImport>& imports;
  k8s::ScopedWatch& secrets;
  SourceRegistry& sources;
  Reconciler& on_demand;  // one of this replica's own, for delivery Broker
  const k8s::Clock& clock;
};

// Fills a ConfigStore: reads the Secret of an import that somebody subscribed to, or for delivery Broker takes a token
// itself, whenever something about the import changed or time makes it stale. Runs on every replica; writes nothing to
// the cluster. Thread-safe.
class ConfigRefresher {
 public:
  explicit ConfigRefresher(const ConfigRefresherDeps& deps);

  ConfigStore& store() { return store_; }

  // Something about the import changed, maybe.
  void Enqueue(const k8s::ObjectKey& key);
  // Something about several: of one namespace, of one source, or all where these are empty.
  void EnqueueAll(const std::string& namespace_name = "", const std::string& cluster = "");

 private:
  // What is known of an import beside itself.
  struct Held {
    std::string uid;             // of the import; "" while there is none
    std::string secret_version;  // "": none was read
    absl::StatusOr<k8s::RemoteConfig> config = absl::NotFoundError("");
    OnDemandToken on_demand;
    k8s::ImportStatus status;
    bool awaits = false;  // nothing can be said of it yet
    mcsa::v1::Config::State told = mcsa::v1::Config::STATE_UNSPECIFIED;

    void Forget(const char* why) {
      secret_version.clear();
      config = absl::NotFoundError(why);
    }
  };

  void Work(const k8s::Workqueue::Item& item);
  void DropLater(const k8s::ObjectKey& key);
  bool DropDue(const k8s::ObjectKey& key, absl::Duration& left);
  Requeue ReadSecret(const k8s::ServiceAccountImport& import, Held& held);
  Requeue TakeToken(const k8s::ServiceAccountImport& import, Held& held);
  // Returns how long until time alone changes what it says.
  absl::Duration Publish(const k8s::ObjectKey& key, const k8s::ServiceAccountImport* import, Held& held);
  absl::Duration AgeOf(const k8s::RemoteConfig& config) const;

  const ConfigRefresherDeps deps_;
  ConfigStore store_;
  k8s::Workqueue queue_;
  std::mutex mu_;
  std::map<k8s::ObjectKey, std::shared_ptr<Held>> held_;  // guarded by mu_; what it points to, by the queue
  std::map<k8s::ObjectKey, absl::Duration> drop_at_;      // guarded by mu_; of those that nobody wants, monotonic
  k8s::WorkerPool workers_;                               // last: its threads use the rest
};

}  // namespace broker

#endif  // BROKER_CONFIG_REFRESHER_H_
