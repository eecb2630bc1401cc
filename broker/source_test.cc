#include "broker/source.h"

#include <absl/status/statusor.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

namespace broker {
namespace {

// A source calls back in threads of its own, where whoever is told may look it up; should it be removed meanwhile, that
// thread would end the source, and with it wait for itself.
TEST(SourceRegistryTest, SourceIsRemovedWhileOneOfItsThreadsHoldsIt) {
  const std::thread::id here = std::this_thread::get_id();
  SourceRegistry* sources = nullptr;
  std::atomic<bool> called = false, held = false, let_go = false;
  SourceRegistry registry({}, k8s::SystemClock(),
                          {.on_account = [](const std::string&, const k8s::ObjectKey&) {},
                           .on_state =
                               [&](const std::string& cluster) {
                                 if (std::this_thread::get_id() == here || called.exchange(true)) return;
                                 absl::StatusOr<std::shared_ptr<Source>> source = sources->Find(cluster);
                                 for (; !source.ok(); source = sources->Find(cluster)) std::this_thread::yield();
                                 held = true;
                                 held.notify_all();
                                 while (source->use_count() > 1) std::this_thread::yield();
                                 *source = nullptr;
                                 let_go = true;
                                 let_go.notify_all();
                               }});
  sources = &registry;
  registry.Set("east", k8s::ClusterAccess{.server = "https://127.0.0.1:1"});  // nothing listens there, which it tells
  held.wait(false);
  registry.Remove("east");
  let_go.wait(false);
}

}  // namespace
}  // namespace broker
