#ifndef BROKER_CA_CONFIG_MAPS_H_
#define BROKER_CA_CONFIG_MAPS_H_

#include <absl/status/statusor.h>

#include <functional>
#include <string>

#include "k8s/api/client.h"
#include "k8s/api/informer.h"
#include "k8s/core/service_account_import.h"

namespace broker {

// The ConfigMap kBrokerCaConfigMap in each namespace that has imports, as kube-root-ca.crt is in every one: by it
// sidecars verify the gRPC API. Where the last import is gone it stays; it is no secret, and pods may still mount it.
// Borrows its references.
class CaConfigMaps {
 public:
  // `on_change`: a ConfigMap was changed or deleted, maybe by somebody else. Runs in a watch's thread.
  CaConfigMaps(const k8s::Client& target, const k8s::InformerStore<k8s::ServiceAccountImport>& imports,
               std::function<void()> on_change);

  // Makes all of them hold `bundle`; returns whether they all did already, but for those that somebody changed since. A
  // namespace that takes none (it is being deleted, we have no right there, its ConfigMap is immutable) is logged and
  // holds up nobody. UNAVAILABLE: the target does not answer. By one thread at a time.
  absl::StatusOr<bool> Publish(const std::string& bundle);

 private:
  absl::Status Write(const std::string& namespace_name, const std::string& bundle);

  const k8s::Client& target_;
  const k8s::InformerStore<k8s::ServiceAccountImport>& imports_;
  k8s::Informer<std::string> maps_;  // the bundles they hold
  std::string published_;            // what all that take one were last given
};

}  // namespace broker

#endif  // BROKER_CA_CONFIG_MAPS_H_
