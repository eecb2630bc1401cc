#include "k8s/api/scoped_watch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>

#include "k8s/fakes/fake_transport.h"

namespace k8s {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);
const ObjectKey kA{"ns", "a"};

class ScopedWatchTest : public testing::Test {
 protected:
  // Until `condition`, which is asked again whenever the watch tells of anything.
  bool WaitFor(const std::function<bool()>& condition) {
    std::unique_lock lock(mu_);
    while (!condition()) {
      const int told = told_;
      if (!changed_.wait_for(lock, kPatience, [&] { return told_ != told; })) return false;
    }
    return true;
  }

  void Tell() {
    std::lock_guard lock(mu_);
    ++told_;
    changed_.notify_all();
  }

  FakeTransport transport_;
  Client client_{transport_};
  std::mutex mu_;
  std::condition_variable changed_;
  int told_ = 0;  // guarded by mu_
};

TEST_F(ScopedWatchTest, WhatWasSeenWithAWiderRightDoesNotCountOnceThatIsLost) {
  transport_.Put("/api/v1/namespaces/ns/secrets/a", JsonObject());
  ScopedWatch watch(
      client_, kSecrets, "", 10, [this](const auto&, const auto&, const auto&) { Tell(); },
      [this](const std::string&) { Tell(); });
  ASSERT_TRUE(WaitFor([&] { return watch.Get(kA) != nullptr; }));
  transport_.FailNext("GET /api/v1/secrets?", 1000, 403);
  transport_.EndWatches();
  ASSERT_TRUE(WaitFor([&] { return watch.StateOf("") == ScopedWatch::State::kForbidden; }));
  ASSERT_TRUE(WaitFor([&] { return watch.StateOf("ns") == ScopedWatch::State::kSynced; }));
  EXPECT_NE(watch.Get(kA), nullptr);
  transport_.Remove("/api/v1/namespaces/ns/secrets/a");
  EXPECT_TRUE(WaitFor([&] { return watch.Get(kA) == nullptr; }));
}

}  // namespace
}  // namespace k8s
