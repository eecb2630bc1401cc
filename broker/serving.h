#ifndef BROKER_SERVING_H_
#define BROKER_SERVING_H_

#include <absl/status/status.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "broker/authorize_caller.h"
#include "broker/ca_config_maps.h"
#include "broker/ca_keeper.h"
#include "broker/caller_authenticator.h"
#include "broker/config_refresher.h"
#include "broker/config_service.h"
#include "broker/grpc_server.h"
#include "broker/memory_trimmer.h"
#include "broker/metrics.h"
#include "broker/options.h"
#include "k8s/api/informer.h"
#include "k8s/api/serving_certificate.h"

namespace broker {

// All that serves the gRPC API: the pods that may call, what is said to them, certificates and the server itself. Every
// replica has one; the leader's also keeps the CA. Thread-safe.
class Serving {
 public:
  // Borrows all. Starts to watch at once, and serves from Start() on.
  Serving(const Options& options, const ConfigRefresherDeps& deps, std::function<bool()> is_leader, Metrics& metrics);
  ~Serving();

  // Waits for pods and certificate, then serves. OK also when `stopping` turned true meanwhile. UNAVAILABLE: the
  // address cannot be bound.
  absl::Status Start(const std::atomic<bool>& stopping);

  // What was said of one import, or of all of a namespace or a source (or of all, where both are empty), may have
  // changed. Cheap for what nobody subscribed to.
  void OnImport(const k8s::ObjectKey& key) { refresher_.Enqueue(key); }
  void OnAny(const std::string& namespace_name, const std::string& cluster) {
    refresher_.EnqueueAll(namespace_name, cluster);
  }

  // Who leads has changed, or which namespaces have imports: the CA's keeper looks again.
  void WakeCaKeeper();

 private:
  void OnPod(const k8s::InformerStore<InjectedPod>::Pointer& before,
             const k8s::InformerStore<InjectedPod>::Pointer& after);

  const Options& options_;
  Metrics& metrics_;
  const std::shared_ptr<RotatingTlsCredentials> credentials_;
  ConfigRefresher refresher_;

  // Watches begin before those whom they tell are there, and end after them.
  std::mutex mu_;
  ConfigService* told_of_pods_ = nullptr;  // guarded by mu_
  CaKeeper* told_of_cas_ = nullptr;        // guarded by mu_

  k8s::Informer<InjectedPod> pods_;
  CallerAuthenticator authenticator_;
  ConfigService service_;
  CaConfigMaps config_maps_;
  CaKeeper ca_keeper_;
  k8s::ServingCertificate certificate_;
  MemoryTrimmer trimmer_;
  std::unique_ptr<GrpcServer> server_;
};

}  // namespace broker

#endif  // BROKER_SERVING_H_
