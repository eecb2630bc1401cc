#include "broker/source.h"

#include <absl/status/statusor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "k8s/api/http_server.h"

namespace broker {
namespace {

using ::testing::HasSubstr;

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

// As that of a cloud whose login has run out when the broker starts.
TEST(SourceRegistryTest, AContextWhoseExecPluginFailsAtFirstIsUsedOnceItWorks) {
  const std::string plugin = testing::TempDir() + "/plugin";
  const std::string login = testing::TempDir() + "/login";
  std::ofstream(plugin) << "#!/bin/sh\ncat " << login << " 2>/dev/null\n";
  ASSERT_EQ(chmod(plugin.c_str(), 0755), 0);
  const auto server = k8s::HttpServer::Start({.address = "127.0.0.1:0"}, [](const k8s::ServerRequest&) {
                        return k8s::ServerResponse{.status = 403};
                      }).value();
  std::mutex mu;
  std::condition_variable told;
  SourceRegistry registry({}, k8s::SystemClock(),
                          {.on_account = [](const auto&, const auto&) {},
                           .on_state =
                               [&](const auto&) {
                                 std::lock_guard lock(mu);
                                 told.notify_all();
                               }});
  const auto becomes = [&](SourceView::State state) {
    std::unique_lock lock(mu);
    return told.wait_for(lock, std::chrono::seconds(20), [&] {
      const auto source = registry.Find("east");
      return source.ok() && (*source)->View().state == state;
    });
  };
  registry.Set("east", k8s::ClusterAccess{.server = "http://" + server->local_address(),
                                          .exec = k8s::ExecPlugin{.command = plugin}});
  ASSERT_TRUE(becomes(SourceView::State::kNoCredential));
  EXPECT_THAT((*registry.Find("east"))->View().error, HasSubstr(plugin));
  std::ofstream(login + ".new") << R"({"kind": "ExecCredential", "status": {"token": "t"}})";
  ASSERT_EQ(rename((login + ".new").c_str(), login.c_str()), 0);
  EXPECT_TRUE(becomes(SourceView::State::kReady));
}

}  // namespace
}  // namespace broker
