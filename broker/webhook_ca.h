#ifndef BROKER_WEBHOOK_CA_H_
#define BROKER_WEBHOOK_CA_H_

#include <absl/time/time.h>

#include <atomic>
#include <functional>

#include "broker/ca_keeper.h"
#include "k8s/api/client.h"
#include "k8s/api/clock.h"
#include "k8s/api/informer.h"
#include "k8s/core/object.h"

namespace broker {

// Keeps the CA of the admission webhook while this replica leads: its Secret, and caBundle in the webhook
// configuration. Does nothing where there is no such configuration. Borrows `client` and `clock`.
class WebhookCa {
 public:
  WebhookCa(const k8s::Client& client, const k8s::Clock& clock, absl::Duration propagation,
            std::function<bool()> is_leader);

  // Who leads, or the time, has changed. Thread-safe.
  void Wake() { keeper_.Wake(); }

 private:
  std::atomic<bool> has_configuration_ = false;
  CaKeeper keeper_;
  // Changes of either wake the keeper.
  k8s::Informer<k8s::ObjectMeta> configuration_;
  k8s::Informer<k8s::ObjectMeta> secret_;
};

}  // namespace broker

#endif  // BROKER_WEBHOOK_CA_H_
