#ifndef BROKER_BROKER_H_
#define BROKER_BROKER_H_

#include <absl/status/status.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "broker/metrics.h"
#include "broker/options.h"
#include "broker/reconciler.h"
#include "broker/serving.h"
#include "broker/source.h"
#include "broker/webhook_ca.h"
#include "k8s/api/cluster_connection.h"
#include "k8s/api/event_recorder.h"
#include "k8s/api/informer.h"
#include "k8s/api/lease_election.h"
#include "k8s/api/scoped_watch.h"
#include "k8s/api/worker_pool.h"
#include "k8s/api/workqueue.h"

namespace broker {

// The broker of one target cluster: watches, queue, workers, election, and the Reconciler that they feed.
//
// A change never carries its content: watches put keys into the queue, and the Reconciler reads what is true by then.
class Broker {
 public:
  // Borrows `target`. Starts to watch at once.
  Broker(const k8s::Client& target, const Options& options, k8s::Environment environment, Metrics& metrics);
  ~Broker();

  // Registers a context of the kubeconfig as a source. One that is of no use, or an error that stands for it, is
  // logged, and told to those who import from it.
  void AddContext(const std::string& cluster, const absl::StatusOr<k8s::ClusterAccess>& access);

  // Waits until everything is listed, then works until Stop(). UNAVAILABLE: the target could not be listed, or the
  // address of the gRPC API could not be bound.
  absl::Status Run();
  void Stop();  // thread-safe

  // Whether all lists are there.
  bool IsReady() const { return ready_; }

  void UpdateMetrics();

 private:
  using ImportPointer = k8s::InformerStore<k8s::ServiceAccountImport>::Pointer;
  using AccountKey = std::tuple<std::string, std::string, std::string>;  // cluster, namespace, name

  ReconcilerDeps DepsOf(std::function<bool()> is_leader);
  void OnImport(const k8s::ObjectKey& key, const ImportPointer& before, const ImportPointer& after);
  void OnSecret(const k8s::ScopedWatch::Pointer& before, const k8s::ScopedWatch::Pointer& after);
  void OnLeader(bool leads);
  void Enqueue(const k8s::ObjectKey& key, const std::string& cluster);
  void EnqueueAll(const std::string& namespace_name = "", const std::string& cluster = "");
  void EnqueueAccount(const std::string& cluster, const k8s::ObjectKey& account);
  void Work(const k8s::Workqueue::Item& item);
  absl::Status Serve();
  void WakeCaKeepers();
  void WithServing(const std::function<void(Serving&)>& tell);

  const Options options_;
  const k8s::Client& target_;
  Metrics& metrics_;
  k8s::Workqueue queue_;
  std::atomic<bool> ready_ = false;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> bounds_imports_ = false;  // whether a policy did ever: an import that goes makes room for others

  std::mutex mu_;
  std::map<AccountKey, std::set<k8s::ObjectKey>> imports_of_account_;  // guarded by mu_

  std::mutex forget_mu_;
  bool forgets_ = false;  // guarded by forget_mu_; while secrets_ lives, which is made after the watch that calls it

  std::shared_mutex serving_mu_;
  std::unique_ptr<Serving> serving_;       // guarded by serving_mu_; null unless it serves
  std::unique_ptr<WebhookCa> webhook_ca_;  // guarded by serving_mu_; null before Run()

  // Each starts threads that call back into those above it, so the order counts: made downwards, torn down upwards.
  SourceRegistry sources_;
  k8s::EventRecorder events_;
  k8s::Informer<k8s::ServiceAccountImport> imports_;
  k8s::Informer<k8s::ImportPolicy> policies_;
  k8s::Informer<k8s::ObjectMeta> namespaces_;
  Reconciler reconciler_;
  Reconciler on_demand_;  // delivery Broker: every replica takes tokens for its own subscribers
  k8s::ScopedWatch secrets_;
  std::unique_ptr<k8s::LeaseElection> election_;
  std::unique_ptr<k8s::WorkerPool> workers_;
};

}  // namespace broker

#endif  // BROKER_BROKER_H_
