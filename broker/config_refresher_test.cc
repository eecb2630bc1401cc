#include "broker/config_refresher.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <memory>
#include <thread>

#include "k8s/api/event_recorder.h"
#include "k8s/fakes/fake_clock.h"
#include "k8s/fakes/fake_transport.h"

namespace broker {
namespace {

const k8s::ObjectKey kKey{"ns", "east"};

// An API server that grants every token, and shows no accounts.
class TokenServer {
 public:
  explicit TokenServer(const k8s::Clock& clock) {
    server_.Post(".*/token", [this, &clock](const httplib::Request& request, httplib::Response& response) {
      ++tokens_;
      const k8s::Json spec = k8s::ParseJson(request.body)->at("spec");
      const int64_t now = absl::ToUnixSeconds(clock.Now());
      const std::string claims = boost::json::serialize(
          k8s::JsonObject{{"iat", now},
                          {"exp", now + 3600},
                          {"jti", absl::StrCat(tokens_.load())},
                          {"sub", "system:serviceaccount:ns:account"},
                          {"aud", spec.at("audiences")},
                          {"kubernetes.io", k8s::JsonObject{{"serviceaccount", k8s::JsonObject{{"uid", "account"}}}}}});
      response.status = 201;
      response.set_content(
          boost::json::serialize(k8s::JsonObject{
              {"kind", "TokenRequest"},
              {"status", k8s::JsonObject{{"token", absl::StrCat("e30.", absl::WebSafeBase64Escape(claims), ".s")},
                                         {"expirationTimestamp", k8s::ToRfc3339(clock.Now() + absl::Hours(1))}}}}),
          "application/json");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    server_.wait_until_ready();
  }
  ~TokenServer() {
    server_.stop();
    thread_.join();
  }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_); }
  int tokens() const { return tokens_; }

 private:
  httplib::Server server_;
  std::atomic<int> tokens_ = 0;
  int port_ = 0;
  std::thread thread_;
};

class Listener final : public ConfigStore::Subscriber {
 public:
  void OnChange() override {}
};

// Delivery Broker, with a source behind real HTTP.
class ConfigRefresherTest : public testing::Test {
 protected:
  ConfigRefresherTest() {
    sources_.Set("east", k8s::ClusterAccess{.server = source_.url()});
    namespaces_.Set({"", "ns"}, std::make_shared<const k8s::ObjectMeta>(k8s::ObjectMeta{.name = "ns"}));
    policies_.Set({"", "all"}, std::make_shared<const k8s::ImportPolicy>(k8s::ImportPolicy{
                                   .name = "all", .rules = {{.same_namespace = true, .audiences = {"a", "b"}}}}));
  }

  void Import(const std::string& uid, const std::string& audience) {
    k8s::ServiceAccountImport import;
    import.meta = {.namespace_name = "ns", .name = "east", .uid = uid, .generation = 1};
    import.spec = {.cluster_name = "east",
                   .namespace_name = "ns",
                   .name = "account",
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
    for (const absl::Time end = absl::Now() + absl::Seconds(10); absl::Now() < end; absl::SleepFor(absl::Milliseconds(5))) {
      if (Said() == what) return true;
    }
    return false;
  }

  const std::string own_namespace_ = "broker";
  const std::set<std::string> source_imports_;
  k8s::FakeClock clock_;
  TokenServer source_{clock_};
  k8s::FakeTransport api_;
  const k8s::Client client_{api_};
  k8s::InformerStore<k8s::ServiceAccountImport> imports_;
  k8s::InformerStore<k8s::ImportPolicy> policies_;
  k8s::InformerStore<k8s::ObjectMeta> namespaces_;
  k8s::ScopedWatch secrets_{client_, k8s::kSecrets, "", 10, [](const auto&, const auto&, const auto&) {},
                            [](const std::string&) {}};
  SourceRegistry sources_{{}, clock_, {.on_account = [](const auto&, const auto&) {}, .on_state = [](const auto&) {}}};
  k8s::EventRecorder events_{client_, clock_, "test", "test"};
  Metrics metrics_;
  Reconciler on_demand_{{.target = client_,
                         .own_namespace = own_namespace_,
                         .source_imports = source_imports_,
                         .imports = imports_,
                         .policies = policies_,
                         .namespaces = namespaces_,
                         .secrets = secrets_,
                         .sources = sources_,
                         .events = events_,
                         .metrics = metrics_,
                         .clock = clock_,
                         .is_leader = [] { return true; }}};
  ConfigRefresher refresher_{{.target = client_,
                              .imports = imports_,
                              .secrets = secrets_,
                              .sources = sources_,
                              .on_demand = on_demand_,
                              .clock = clock_}};
};

TEST_F(ConfigRefresherTest, WhatIsWantedIsMintedOnce) {
  Import("1", "a");
  EXPECT_EQ(Said(), "nothing");
  EXPECT_EQ(source_.tokens(), 0);
  refresher_.store().Subscribe(std::make_shared<Listener>(), {kKey});
  EXPECT_TRUE(Says("a")) << Said();
  refresher_.Enqueue(kKey);
  EXPECT_TRUE(Says("a")) << Said();
  EXPECT_EQ(source_.tokens(), 1);
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
