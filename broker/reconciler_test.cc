#include "broker/reconciler.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "broker/reconciler_under_test.h"
#include "k8s/core/build_secret.h"
#include "k8s/core/names.h"

namespace broker {
namespace {

using k8s::Json;
using k8s::JsonArray;
using k8s::JsonObject;
using How = Requeue::How;
using ::testing::HasSubstr;

constexpr char kImport[] = "/apis/multicluster.admiralty.io/v1alpha1/namespaces/team-a/serviceaccountimports/reader";
const k8s::ObjectKey kKey{"team-a", "reader"};

class ReconcilerTest : public ReconcilerUnderTest {
 protected:
  ReconcilerTest() { SetPolicy(R"([{"sourceNamespaces": ["*"], "audiences": ["vault"]}])"); }

  // As the watch shows it.
  const k8s::ServiceAccountImport& SetImport(JsonObject more_spec = {}) {
    JsonObject spec = std::move(more_spec);
    spec["clusterName"] = "east";
    spec["namespace"] = "team-a";
    spec["name"] = "reader";
    target_.Put(kImport, JsonObject{{"spec", std::move(spec)}});
    const auto import =
        std::make_shared<k8s::ServiceAccountImport>(*k8s::ParseServiceAccountImport(*target_.Find(kImport)));
    imports_.Set(kKey, import);
    return *import;
  }

  bool Holds(const k8s::ServiceAccountImport& import, const char* key) const {
    const auto secret =
        target_.Find(absl::StrCat("/api/v1/namespaces/team-a/secrets/", k8s::SecretName(kKey.name, import.meta.uid)));
    return secret && k8s::ParseSecretData(*secret).contains(key);
  }

  // Of the import's condition Ready, as it is written.
  k8s::Condition Ready() const {
    const auto import = k8s::ParseServiceAccountImport(*target_.Find(kImport));
    const k8s::Condition* ready = k8s::FindCondition(import->status, "Ready");
    return ready == nullptr ? k8s::Condition() : *ready;
  }

  // What somebody does with `kubectl patch`. Returns the import's Secret as it then is.
  Json MakeSecretImmutable(const std::string& path) {
    Json secret = *target_.Find(path);
    secret.get_object()["immutable"] = true;
    target_.Put(path, secret);
    return secret;
  }
};

TEST_F(ReconcilerTest, ANewImportBecomesASecret) {
  SetImport();
  EXPECT_EQ(reconciler_.Reconcile(kKey).how, How::kAfter);
  EXPECT_EQ(tokens_, 1);
  EXPECT_EQ(Ready().reason, "TokenIssued");
}

TEST_F(ReconcilerTest, ATokenThatItsSourceRefusesIsReplacedWithinAMinute) {
  SetImport();
  reconciler_.Reconcile(kKey);
  clock_.Advance(absl::Seconds(61));
  EXPECT_LE(reconciler_.Reconcile(kKey).after, absl::Minutes(1));
  EXPECT_EQ(tokens_, 2);
}

// The source's API server refuses it however well it is.
TEST_F(ReconcilerTest, ATokenForAnotherAudienceIsKeptUntilItsRenewal) {
  SetImport(JsonObject{{"audiences", JsonArray{"vault"}}});
  reconciler_.Reconcile(kKey);
  clock_.Advance(absl::Seconds(61));
  EXPECT_GT(reconciler_.Reconcile(kKey).after, absl::Minutes(20));
  EXPECT_EQ(tokens_, 1);
  EXPECT_TRUE(Ready().status);
}

// With one token alone, which is not taken before a write has a chance again.
TEST_F(ReconcilerTest, ARefusedWriteIsToldAndTriedAgainWithoutATokenFirst) {
  SetImport();
  target_.FailNext("POST /api/v1/namespaces/team-a/secrets", 1, 403);
  target_.FailNext("PATCH /api/v1/namespaces/team-a/secrets/", 1, 403);
  EXPECT_EQ(reconciler_.Reconcile(kKey).how, How::kBackOff);
  EXPECT_EQ(Ready().reason, "SecretWriteRefused");
  EXPECT_THAT(Ready().message, HasSubstr("as the test wants it"));
  EXPECT_EQ(reconciler_.Reconcile(kKey).how, How::kBackOff);
  EXPECT_EQ(tokens_, 1);
  EXPECT_EQ(reconciler_.Reconcile(kKey).how, How::kAfter);
  EXPECT_EQ(Ready().reason, "TokenIssued");
}

// As a webhook may whose author wants to see what it refused.
TEST_F(ReconcilerTest, ARefusalThatQuotesTheTokenIsNotRepeated) {
  SetImport();
  std::string quoted;
  target_.Respond("POST /api/v1/namespaces/team-a/secrets", [&](const k8s::HttpRequest& request) {
    quoted = k8s::StringAt(*k8s::ParseJson(request.body.Reveal()), {"data", k8s::kTokenKey});
    k8s::HttpResponse response{.status = 403};
    response.body = k8s::SecretString(boost::json::serialize(
        k8s::JsonObject{{"kind", "Status"}, {"message", absl::StrCat("denied the request: ", quoted)}}));
    return response;
  });
  reconciler_.Reconcile(kKey);
  EXPECT_EQ(Ready().reason, "SecretWriteRefused");
  EXPECT_FALSE(quoted.empty());
  EXPECT_THAT(Ready().message, testing::Not(HasSubstr(quoted)));
}

// A long answer is cut, and what quotes the token may be in Base64 itself, at any offset.
TEST_F(ReconcilerTest, NorIsOneThatQuotesItsBeginning) {
  SetImport();
  std::string quoted;
  for (const absl::string_view before : {"", "a", "ab", "abc"}) {
    target_.Respond("POST /api/v1/namespaces/team-a/secrets", [&](const k8s::HttpRequest& request) {
      const std::string data = k8s::StringAt(*k8s::ParseJson(request.body.Reveal()), {"data", k8s::kTokenKey});
      std::string token;
      absl::Base64Unescape(data, &token);
      quoted = before.empty() ? token : absl::Base64Escape(absl::StrCat(before, token));
      k8s::HttpResponse response{.status = 403};
      response.body = k8s::SecretString(boost::json::serialize(
          k8s::JsonObject{{"kind", "Status"}, {"message", absl::StrCat("denied: ", quoted.substr(0, 80))}}));
      return response;
    });
    reconciler_.Reconcile(kKey);
    EXPECT_EQ(Ready().reason, "SecretWriteRefused");
    EXPECT_THAT(Ready().message, testing::Not(HasSubstr(quoted.substr(10, 60))));
  }
}

// The broker does not take the token that is still in the Secret for the one that it just received.
TEST_F(ReconcilerTest, ARenewalThatWasNotStoredIsDoneAgainThoughTokensHaveNoIds) {
  tokens_have_ids_ = false;
  SetImport(JsonObject{{"audiences", JsonArray{"vault"}}});
  reconciler_.Reconcile(kKey);
  clock_.Advance(absl::Minutes(40));
  target_.FailNext("PATCH /api/v1/namespaces/team-a/secrets/", 1, 503);
  EXPECT_EQ(reconciler_.Reconcile(kKey).how, How::kBackOff);
  EXPECT_EQ(tokens_, 2);
  reconciler_.Reconcile(kKey);
  EXPECT_EQ(tokens_, 3);
}

TEST_F(ReconcilerTest, AShorterLifeTakesNothingAwayWhileNoTokenCanBeHad) {
  const JsonArray audiences{"vault"};
  SetImport(JsonObject{{"audiences", audiences}});
  reconciler_.Reconcile(kKey);
  clock_.Advance(absl::Minutes(20));
  mint_status_ = 500;
  const auto& import = SetImport(JsonObject{{"audiences", audiences}, {"expirationSeconds", 600}});
  reconciler_.Reconcile(kKey);
  EXPECT_TRUE(Ready().status);
  EXPECT_TRUE(Holds(import, k8s::kTokenKey));
}

// It refuses the broker as well, so its 401 says nothing about the token.
TEST_F(ReconcilerTest, ASourceThatRefusesEverybodyTakesNothingAway) {
  const auto& import = SetImport();
  reconciler_.Reconcile(kKey);
  clock_.Advance(absl::Seconds(61));
  mint_status_ = 401;
  reconciler_.Reconcile(kKey);
  EXPECT_TRUE(Ready().status);
  EXPECT_TRUE(Holds(import, k8s::kTokenKey));
  mint_status_ = 403;
  reconciler_.Reconcile(kKey);
  EXPECT_FALSE(Holds(import, k8s::kTokenKey));
}

TEST_F(ReconcilerTest, TheAuditTellsOfARevocationOnceItIsWritten) {
  SetImport();
  reconciler_.Reconcile(kKey);
  SetPolicy("[]");
  target_.FailNext("PATCH /api/v1/namespaces/team-a/secrets/", 1, 409);
  testing::internal::CaptureStdout();
  reconciler_.Reconcile(kKey);
  EXPECT_THAT(testing::internal::GetCapturedStdout(), testing::Not(HasSubstr("TokenRevoked")));
  testing::internal::CaptureStdout();
  reconciler_.Reconcile(kKey);
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("TokenRevoked"));
}

TEST_F(ReconcilerTest, ASecretThatSomebodyMadeMeanwhileIsLeftAlone) {
  const std::string path =
      absl::StrCat("/api/v1/namespaces/team-a/secrets/", k8s::SecretName(kKey.name, SetImport().meta.uid));
  while_minting_ = [&] { target_.Put(path, JsonObject{{"data", JsonObject{{"theirs", "eA=="}}}}); };
  EXPECT_EQ(reconciler_.Reconcile(kKey).how, How::kBackOff);
  reconciler_.Reconcile(kKey);
  EXPECT_EQ(Ready().reason, "SecretConflict");
  EXPECT_FALSE(k8s::ParseSecretData(*target_.Find(path)).contains(k8s::kTokenKey));
}

TEST_F(ReconcilerTest, AnImmutableSecretIsReplaced) {
  const std::string path =
      absl::StrCat("/api/v1/namespaces/team-a/secrets/", k8s::SecretName(kKey.name, SetImport().meta.uid));
  reconciler_.Reconcile(kKey);
  const Json secret = MakeSecretImmutable(path);
  clock_.Advance(absl::Minutes(40));
  EXPECT_EQ(reconciler_.Reconcile(kKey).how, How::kAfter);
  const Json renewed = *target_.Find(path);
  EXPECT_NE(k8s::StringAt(renewed, {"metadata", "uid"}), k8s::StringAt(secret, {"metadata", "uid"}));
  EXPECT_FALSE(k8s::ParseSecretData(renewed).at(k8s::kTokenKey) == k8s::ParseSecretData(secret).at(k8s::kTokenKey));
}

TEST_F(ReconcilerTest, AnImmutableSecretIsDeletedWhenItIsRevoked) {
  const std::string path =
      absl::StrCat("/api/v1/namespaces/team-a/secrets/", k8s::SecretName(kKey.name, SetImport().meta.uid));
  reconciler_.Reconcile(kKey);
  MakeSecretImmutable(path);
  policies_.Erase({"", "policy"});
  reconciler_.Reconcile(kKey);
  EXPECT_EQ(target_.Find(path), std::nullopt);
  EXPECT_EQ(Ready().reason, "NotAllowedByPolicy");
}

TEST_F(ReconcilerTest, WaitsForANamespaceWhoseLabelsAreNotKnownYet) {
  SetPolicy(R"([{"sourceNamespaces": ["*"], "targetNamespaces": {"matchExpressions":
                 [{"key": "untrusted", "operator": "DoesNotExist"}]}}])");
  namespaces_.Erase({"", "team-a"});
  const k8s::ServiceAccountImport& import = SetImport();
  EXPECT_EQ(reconciler_.Reconcile(kKey).how, How::kBackOff);
  OnDemandToken held;
  EXPECT_EQ(reconciler_.ReconcileOnDemand(import, held).how, How::kBackOff);
  EXPECT_EQ(tokens_, 0);

  k8s::ObjectMeta untrusted;
  untrusted.labels["untrusted"] = "true";
  namespaces_.Set({"", "team-a"}, std::make_shared<k8s::ObjectMeta>(untrusted));
  reconciler_.Reconcile(kKey);
  EXPECT_EQ(Ready().reason, "NotAllowedByPolicy");
  EXPECT_EQ(tokens_, 0);
}

}  // namespace
}  // namespace broker
