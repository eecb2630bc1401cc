#include "broker/webhook_ca.h"

#include <absl/strings/escaping.h>
#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "k8s/core/ca_rotation.h"
#include "k8s/core/names.h"
#include "k8s/fakes/fake_clock.h"
#include "k8s/fakes/fake_transport.h"

namespace broker {
namespace {

using k8s::Json;
using k8s::JsonArray;
using k8s::JsonObject;
using ::testing::HasSubstr;

constexpr char kSecretPath[] =
    "/api/v1/namespaces/multicluster-service-account-webhook/secrets/service-account-import-admission-controller-cert";
constexpr char kConfigurationPath[] =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/service-account-import-admission-controller";

// Waits for the keeper's thread: its steps are seen in the API server only.
testing::AssertionResult Eventually(const std::function<bool()>& condition) {
  for (const absl::Time end = absl::Now() + absl::Seconds(10); absl::Now() < end;
       absl::SleepFor(absl::Milliseconds(5))) {
    if (condition()) return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << "not within 10 s";
}

class WebhookCaTest : public testing::Test {
 protected:
  WebhookCaTest() {
    api_.Put(kConfigurationPath,
             JsonObject{{"webhooks", JsonArray{JsonObject{{"name", "w"}, {"clientConfig", JsonObject()}}}}});
    api_.Put(kSecretPath, JsonObject{{"kind", "Secret"}});
  }

  k8s::CaState Stored() {
    const std::optional<Json> secret = api_.Find(kSecretPath);
    return secret ? k8s::ParseCaSecret(*secret).value() : k8s::CaState();
  }

  std::string Published() {
    const std::optional<Json> configuration = api_.Find(kConfigurationPath);
    std::string bundle;
    if (configuration) {
      absl::Base64Unescape(k8s::StringAt(configuration->at("webhooks").at(0), {"clientConfig", "caBundle"}), &bundle);
    }
    return bundle;
  }

  // A CA signs, and its bundle and no other is published.
  bool IsSettled() {
    const k8s::CaState state = Stored();
    return state.signing && !state.next && Published() == k8s::BundleOf(state);
  }

  void Request(const std::string& value) {
    Json secret = *api_.Find(kSecretPath);
    secret.at("metadata").as_object()["annotations"] = JsonObject{{k8s::kRotateRequestedKey, value}};
    api_.Put(kSecretPath, secret);
  }

  std::unique_ptr<WebhookCa> Keep() {
    return std::make_unique<WebhookCa>(client_, clock_, absl::Seconds(30), [this] { return leads_.load(); });
  }

  k8s::FakeTransport api_;
  k8s::Client client_{api_};
  k8s::FakeClock clock_;
  std::atomic<bool> leads_ = true;
};

TEST_F(WebhookCaTest, FillsWhatTheManifestLeavesEmpty) {
  const auto keeper = Keep();
  EXPECT_TRUE(Eventually([&] { return IsSettled(); }));
}

TEST_F(WebhookCaTest, TouchesNothingWhileAnotherReplicaLeads) {
  leads_ = false;
  const auto keeper = Keep();
  ASSERT_TRUE(api_.WaitForRequests("GET /api/v1/namespaces/multicluster-service-account-webhook/secrets?", 1));
  absl::SleepFor(absl::Milliseconds(100));
  EXPECT_EQ(api_.CountRequests("PATCH"), 0);
  leads_ = true;
  keeper->Wake();
  EXPECT_TRUE(Eventually([&] { return IsSettled(); }));
}

TEST_F(WebhookCaTest, RotatesOnRequestAndSignsOnlyWhenTrusted) {
  const auto keeper = Keep();
  ASSERT_TRUE(Eventually([&] { return IsSettled(); }));
  const std::string first = Stored().signing->certificate;
  Request("monday");
  ASSERT_TRUE(Eventually([&] { return Stored().next.has_value(); }));
  EXPECT_EQ(Stored().signing->certificate, first);
  EXPECT_EQ(Published(), k8s::BundleOf(Stored()));
  clock_.Advance(absl::Seconds(31));
  keeper->Wake();
  ASSERT_TRUE(Eventually([&] { return IsSettled(); }));
  EXPECT_NE(Stored().signing->certificate, first);
  EXPECT_THAT(Published(), HasSubstr(first));
  clock_.Advance(absl::Hours(25));
  keeper->Wake();
  EXPECT_TRUE(Eventually([&] { return Published() == Stored().signing->certificate; }));
}

TEST_F(WebhookCaTest, PutsBackABundleThatWasTakenAway) {
  const auto keeper = Keep();
  ASSERT_TRUE(Eventually([&] { return IsSettled(); }));
  const std::string first = Published();
  Json configuration = *api_.Find(kConfigurationPath);
  configuration.at("webhooks").at(0).at("clientConfig").as_object().erase("caBundle");
  api_.Put(kConfigurationPath, configuration);
  EXPECT_TRUE(Eventually([&] { return Published() == first; }));
}

TEST_F(WebhookCaTest, ADeletedSecretMeansANewCaThatAloneIsTrusted) {
  const auto keeper = Keep();
  ASSERT_TRUE(Eventually([&] { return IsSettled(); }));
  const std::string first = Published();
  api_.Remove(kSecretPath);
  ASSERT_TRUE(Eventually([&] { return IsSettled() && Published() != first; }));
  EXPECT_THAT(Published(), testing::Not(HasSubstr(first)));
}

TEST_F(WebhookCaTest, NothingIsStoredThatCouldNotBePublished) {
  api_.FailNext("PUT", 1000, 403);
  const auto keeper = Keep();
  ASSERT_TRUE(api_.WaitForRequests("PUT", 1));
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_FALSE(Stored().signing);
}

TEST_F(WebhookCaTest, ASecretThatCannotBeWrittenIsTriedAgainInTime) {
  api_.FailNext("PATCH /api/v1/namespaces/multicluster-service-account-webhook/secrets/", 1000, 403);
  const auto keeper = Keep();
  ASSERT_TRUE(api_.WaitForRequests("PATCH", 1));
  absl::SleepFor(absl::Milliseconds(500));
  EXPECT_EQ(api_.CountRequests("PATCH"), 1);
}

TEST_F(WebhookCaTest, WithoutAConfigurationThereIsNothingToDo) {
  api_.Remove(kConfigurationPath);
  const auto keeper = Keep();
  ASSERT_TRUE(api_.WaitForRequests("GET /apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations?", 1));
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_FALSE(Stored().signing);
}

TEST_F(WebhookCaTest, AConfigurationWithoutWebhooksHarmsNobody) {
  api_.Put(kConfigurationPath, JsonObject());
  const auto keeper = Keep();
  ASSERT_TRUE(Eventually([&] { return Stored().signing.has_value(); }));
  api_.Put(kConfigurationPath, JsonObject{{"webhooks", JsonArray{"text", JsonObject()}}});
  EXPECT_TRUE(Eventually([&] {
    return k8s::StringAt(api_.Find(kConfigurationPath)->at("webhooks").at(1), {"clientConfig", "caBundle"}) != "";
  }));
}

TEST_F(WebhookCaTest, ASpoiltSecretIsLeftForAPerson) {
  api_.Put(kSecretPath, JsonObject{{"data", JsonObject{{"rotation.json", "e2NhbmFyeQ=="}}}});
  const auto keeper = Keep();
  ASSERT_TRUE(api_.WaitForRequests("GET /api/v1/namespaces/multicluster-service-account-webhook/secrets/", 1));
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_EQ(api_.CountRequests("PATCH"), 0);
}

}  // namespace
}  // namespace broker
