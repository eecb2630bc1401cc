#include "broker/config_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace broker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const k8s::ObjectKey kA{"ns", "a"};
const k8s::ObjectKey kB{"ns", "b"};

struct Counter final : ConfigStore::Subscriber {
  void OnChange() override { ++changes; }
  std::atomic<int> changes = 0;
};

ConfigStore::Pointer Snapshot() {
  return std::make_shared<const ConfigSnapshot>();
}

class ConfigStoreTest : public ::testing::Test {
 protected:
  std::vector<k8s::ObjectKey> wanted_;
  std::vector<k8s::ObjectKey> unwanted_;
  ConfigStore store_{{.on_wanted = [this](const k8s::ObjectKey& key) { wanted_.push_back(key); },
                      .on_unwanted = [this](const k8s::ObjectKey& key) { unwanted_.push_back(key); }}};
};

TEST_F(ConfigStoreTest, KeepsNothingThatNobodyWants) {
  store_.Set(kA, Snapshot(), /*tell=*/true);
  EXPECT_EQ(store_.Get(kA), nullptr);
  EXPECT_FALSE(store_.IsKept(kA));
}

TEST_F(ConfigStoreTest, AsksForAnImportOnceHoweverManyWantIt) {
  store_.Subscribe(std::make_shared<Counter>(), {kA, kB});
  store_.Subscribe(std::make_shared<Counter>(), {kB});
  EXPECT_THAT(wanted_, ElementsAre(kA, kB));
}

TEST_F(ConfigStoreTest, TellsThoseWhoSubscribedToTheImport) {
  const auto a = std::make_shared<Counter>();
  const auto b = std::make_shared<Counter>();
  store_.Subscribe(a, {kA});
  store_.Subscribe(b, {kB});
  store_.Set(kA, Snapshot(), /*tell=*/true);
  store_.Set(kA, Snapshot(), /*tell=*/false);
  EXPECT_EQ(a->changes, 1);
  EXPECT_EQ(b->changes, 0);
}

TEST_F(ConfigStoreTest, IsToldWhenTheLastSubscriberLeaves) {
  const auto first = std::make_shared<Counter>();
  const auto second = std::make_shared<Counter>();
  store_.Subscribe(first, {kA});
  store_.Subscribe(second, {kA});
  store_.Unsubscribe(first, {kA});
  EXPECT_THAT(unwanted_, IsEmpty());
  store_.Unsubscribe(second, {kA});
  store_.Unsubscribe(second, {kA});
  EXPECT_THAT(unwanted_, ElementsAre(kA));
}

TEST_F(ConfigStoreTest, DropsOnlyWhatNobodyWants) {
  const auto subscriber = std::make_shared<Counter>();
  store_.Subscribe(subscriber, {kA});
  store_.Set(kA, Snapshot(), /*tell=*/true);
  EXPECT_FALSE(store_.DropUnwanted(kA));
  store_.Unsubscribe(subscriber, {kA});
  EXPECT_NE(store_.Get(kA), nullptr);
  EXPECT_TRUE(store_.DropUnwanted(kA));
  EXPECT_EQ(store_.Get(kA), nullptr);
  EXPECT_EQ(store_.size(), 0);
}

// Under ThreadSanitizer. A subscriber may see a change after it left, but no change before it is lost.
TEST(ConfigStoreRaceTest, SubscribersComeAndGoWhileImportsChange) {
  ConfigStore store({.on_wanted = [](const k8s::ObjectKey&) {}, .on_unwanted = [](const k8s::ObjectKey&) {}});
  const auto resident = std::make_shared<Counter>();
  store.Subscribe(resident, {kA});
  constexpr int kRounds = 500;
  std::thread writer([&] {
    for (int i = 0; i < kRounds; ++i) store.Set(kA, Snapshot(), /*tell=*/true);
  });
  std::thread guest([&] {
    for (int i = 0; i < kRounds; ++i) {
      const auto subscriber = std::make_shared<Counter>();
      store.Subscribe(subscriber, {kA, kB});
      store.Get(kA);
      store.Unsubscribe(subscriber, {kA, kB});
      store.DropUnwanted(kB);
    }
  });
  writer.join();
  guest.join();
  EXPECT_EQ(resident->changes, kRounds);
  EXPECT_FALSE(store.IsKept(kB));
}

}  // namespace
}  // namespace broker
