#ifndef BROKER_RECONCILER_UNDER_TEST_H_
#define BROKER_RECONCILER_UNDER_TEST_H_

#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "broker/reconciler.h"
#include "k8s/api/http_server.h"
#include "k8s/fakes/fake_clock.h"
#include "k8s/fakes/fake_transport.h"

namespace broker {

// A Reconciler between a target in memory and the source "east" on loopback, which issues tokens for an hour, lets
// nobody watch its accounts and accepts no token.
class ReconcilerUnderTest : public ::testing::Test {
 protected:
  ReconcilerUnderTest() {
    namespaces_.Set({"", "team-a"}, std::make_shared<k8s::ObjectMeta>());
    sources_.Set("east", k8s::ClusterAccess{.server = absl::StrCat("http://", source_->local_address())});
    secrets_listed_.wait(false);
  }

  void SetPolicy(const std::string& rules) {
    const k8s::Json policy = k8s::JsonObject{{"metadata", k8s::JsonObject{{"name", "policy"}}},
                                             {"spec", k8s::JsonObject{{"rules", *k8s::ParseJson(rules)}}}};
    policies_.Set({"", "policy"}, std::make_shared<k8s::ImportPolicy>(*k8s::ParseImportPolicy(policy)));
  }

  k8s::ServerResponse AnswerAsSource(const k8s::ServerRequest& request) {
    if (!absl::EndsWith(request.path, "/token")) {
      return {.status = absl::EndsWith(request.path, "/selfsubjectreviews") ? 401 : 403};
    }
    if (while_minting_) while_minting_();
    if (mint_status_ != 201) return {.status = mint_status_};
    const k8s::Json asked = *k8s::ParseJson(request.body);
    const absl::Time now = clock_.Now();
    k8s::JsonObject claims{
        {"iat", absl::ToUnixSeconds(now)},
        {"exp", absl::ToUnixSeconds(now + absl::Hours(1))},
        {"sub", "system:serviceaccount:team-a:reader"},
        {"aud", k8s::ToJsonArray(k8s::StringsAt(asked, {"spec", "audiences"}))},
        {"kubernetes.io", k8s::JsonObject{{"serviceaccount", k8s::JsonObject{{"uid", "account-uid"}}}}}};
    ++tokens_;
    if (tokens_have_ids_) claims["jti"] = absl::StrCat(tokens_.load());
    const std::string token = absl::StrCat("e30.", absl::WebSafeBase64Escape(boost::json::serialize(claims)), ".c2ln");
    return {.status = 201,
            .content_type = "application/json",
            .body = boost::json::serialize(k8s::JsonObject{
                {"status",
                 k8s::JsonObject{{"token", token}, {"expirationTimestamp", k8s::ToRfc3339(now + absl::Hours(1))}}}})};
  }

  std::atomic<int> tokens_ = 0;  // issued
  std::function<void()> while_minting_;
  std::atomic<int> mint_status_ = 201;
  std::atomic<bool> tokens_have_ids_ = true;
  k8s::FakeClock clock_;
  const std::unique_ptr<k8s::HttpServer> source_ =
      k8s::HttpServer::Start({.address = "127.0.0.1:0"}, [this](const k8s::ServerRequest& request) {
        return AnswerAsSource(request);
      }).value();
  k8s::FakeTransport target_;
  const k8s::Client client_{target_};
  k8s::InformerStore<k8s::ServiceAccountImport> imports_;
  k8s::InformerStore<k8s::ImportPolicy> policies_;
  k8s::InformerStore<k8s::ObjectMeta> namespaces_;
  std::atomic<bool> secrets_listed_ = false;
  k8s::ScopedWatch secrets_{client_,
                            k8s::kSecrets,
                            "",
                            1,
                            [](const auto&, const auto&, const auto&) {},
                            [this](const std::string&) {
                              secrets_listed_ = true;
                              secrets_listed_.notify_all();
                            }};
  SourceRegistry sources_{{}, clock_, {.on_account = [](const auto&, const auto&) {}, .on_state = [](const auto&) {}}};
  k8s::EventRecorder events_{client_, clock_, "broker", "replica"};
  Metrics metrics_;
  const std::string own_namespace_ = "own";
  const std::set<std::string> source_imports_;
  Reconciler reconciler_{{.target = client_,
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
};

}  // namespace broker

#endif  // BROKER_RECONCILER_UNDER_TEST_H_
