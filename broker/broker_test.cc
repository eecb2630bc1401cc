#include "broker/broker.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>

#include "k8s/core/json.h"
#include "k8s/fakes/fake_transport.h"

namespace broker {
namespace {

using k8s::JsonObject;

// Watches tell of what there is while the constructor still runs. Memory that was used before shows whether they find
// everything made that they touch: with a mutex or a pointer of old bytes this stops or ends the process.
TEST(BrokerTest, HearsOfImportsWhileItIsBeingMade) {
  k8s::FakeTransport api;
  for (int i = 0; i < 100; ++i) {
    api.Put("/apis/multicluster.admiralty.io/v1alpha1/namespaces/default/serviceaccountimports/i" + std::to_string(i),
            JsonObject{{"spec", JsonObject{{"clusterName", "c"}, {"namespace", "default"}, {"name", "reader"}}}});
  }
  const k8s::Client client(api);
  const Options options{.own_namespace = "multicluster-service-account", .identity = "replica"};
  const auto memory = std::make_unique<std::array<std::byte, sizeof(Broker)>>();
  for (int i = 0; i < 100; ++i) {
    Metrics metrics;
    std::memset(memory->data(), 0xff, memory->size());
    auto* broker = new (memory->data()) Broker(client, options, {}, metrics);
    std::destroy_at(broker);
  }
}

}  // namespace
}  // namespace broker
