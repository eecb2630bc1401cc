#include "broker/config_refresher.h"

#include <absl/time/clock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "broker/reconciler_under_test.h"

namespace broker {
namespace {

const k8s::ObjectKey kKey{"team-a", "reader"};

class Listener final : public ConfigStore::Subscriber {
 public:
  void OnChange() override {}
};

// With delivery Broker.
class ConfigRefresherTest : public ReconcilerUnderTest {
 protected:
  ConfigRefresherTest() { SetPolicy(R"([{"sourceNamespaces": ["*"], "audiences": ["a", "b"]}])"); }

  void Import(const std::string& uid, const std::string& audience) {
    k8s::ServiceAccountImport import;
    import.meta = {.namespace_name = kKey.namespace_name, .name = kKey.name, .uid = uid, .generation = 1};
    import.spec = {.cluster_name = "east",
                   .namespace_name = "team-a",
                   .name = "reader",
                   .audiences = {audience},
                   .delivery = k8s::Delivery::kBroker};
    imports_.Set(kKey, std::make_shared<const k8s::ServiceAccountImport>(std::move(import)));
    refresher_.Enqueue(kKey);
  }
  // What is said of the import: its token's audience, or an error's reason.
  std::string Said() {
    const ConfigStore::Pointer snapshot = refresher_.store().Get(kKey);
    if (snapshot == nullptr) return "nothing";
    return snapshot->config ? snapshot->config->token.audiences.at(0) : snapshot->reason;
  }
  bool Says(const std::string& what) {
    for (const absl::Time end = absl::Now() + absl::Seconds(10); absl::Now() < end;
         absl::SleepFor(absl::Milliseconds(5))) {
      if (Said() == what) return true;
    }
    return false;
  }

  ConfigRefresher refresher_{{.target = client_,
                              .imports = imports_,
                              .secrets = secrets_,
                              .sources = sources_,
                              .on_demand = reconciler_,
                              .clock = clock_}};
};

TEST_F(ConfigRefresherTest, WhatIsWantedIsMintedOnce) {
  Import("1", "a");
  EXPECT_EQ(Said(), "nothing");
  EXPECT_EQ(tokens_, 0);
  refresher_.store().Subscribe(std::make_shared<Listener>(), {kKey});
  EXPECT_TRUE(Says("a")) << Said();
  refresher_.Enqueue(kKey);
  EXPECT_TRUE(Says("a")) << Said();
  EXPECT_EQ(tokens_, 1);
}

// `kubectl replace --force`: a new import of the same generation.
TEST_F(ConfigRefresherTest, AnImportThatIsMadeAgainHasNothingOfTheOneBefore) {
  refresher_.store().Subscribe(std::make_shared<Listener>(), {kKey});
  Import("1", "a");
  EXPECT_TRUE(Says("a")) << Said();
  Import("2", "b");
  EXPECT_TRUE(Says("b")) << Said();
}

TEST_F(ConfigRefresherTest, AnImportThatIsGoneIsNotServed) {
  refresher_.store().Subscribe(std::make_shared<Listener>(), {kKey});
  Import("1", "a");
  EXPECT_TRUE(Says("a")) << Said();
  imports_.Erase(kKey);
  refresher_.Enqueue(kKey);
  for (const absl::Time end = absl::Now() + absl::Seconds(10); Said() == "a" && absl::Now() < end;) {
    std::this_thread::yield();
  }
  EXPECT_EQ(refresher_.store().Get(kKey)->code, mcsa::v1::ImportError::NOT_FOUND);
}

}  // namespace
}  // namespace broker
