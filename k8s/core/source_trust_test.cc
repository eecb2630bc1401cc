#include "k8s/core/source_trust.h"

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace k8s {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const AccountScope kReports{"team-a", "reports"};
const AccountScope kBackup{"team-a", "backup"};
const AccountScope kTeamA{"team-a", ""};

SourceTrust Narrow() {
  return {.target_name = "cluster1",
          .only = {kReports, kBackup},
          .powerful = {kBackup},
          .denied = {{"team-b", "ci"}},
          .audiences = {"https://own", "vault"}};
}

TEST(ParseAccountScopeTest, TakesANamespaceOrAnAccount) {
  EXPECT_EQ(*ParseAccountScope("team-a"), kTeamA);
  EXPECT_EQ(*ParseAccountScope("team-a/reports"), kReports);
}

TEST(ParseAccountScopeTest, RefusesWhatIsNeither) {
  for (const char* text : {"", "/", "team-a/", "/reports", "a/b/c", "Team", "team-a/*", "a b"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseAccountScope(text).status())) << text;
  }
}

TEST(ChangeTest, WhatIsNotSaidStays) {
  EXPECT_EQ(Change(Narrow(), {}), Narrow());
}

TEST(ChangeTest, AnEmptyListIsSaidToo) {
  const SourceTrust wide =
      Change(Narrow(), {.only = std::vector<AccountScope>(), .audiences = std::vector<std::string>()});
  EXPECT_THAT(wide.only, IsEmpty());
  EXPECT_THAT(wide.audiences, IsEmpty());
  EXPECT_EQ(wide.denied, Narrow().denied);
}

TEST(AllowTest, TakesADenialBack) {
  SourceTrust trust{.denied = {kReports, kBackup}};
  Allow(trust, kReports);
  EXPECT_THAT(trust.denied, ElementsAre(kBackup));
  EXPECT_THAT(trust.only, IsEmpty()) << "every account is granted already";
}

TEST(AllowTest, AddsToANarrowGrantOnce) {
  SourceTrust trust{.only = {kReports}};
  Allow(trust, kBackup);
  Allow(trust, kBackup);
  EXPECT_THAT(trust.only, ElementsAre(kReports, kBackup));
  EXPECT_THAT(trust.powerful, IsEmpty());
}

TEST(AllowPowerfulTest, ExemptsTheAccountOnce) {
  SourceTrust trust;
  AllowPowerful(trust, kBackup);
  AllowPowerful(trust, kBackup);
  EXPECT_THAT(trust.powerful, ElementsAre(kBackup));
}

TEST(DenyTest, TakesTheAccountOutOfEachList) {
  SourceTrust trust = Narrow();
  EXPECT_TRUE(Deny(trust, kBackup, Fencing::kFence).ok());
  EXPECT_THAT(trust.only, ElementsAre(kReports));
  EXPECT_THAT(trust.powerful, IsEmpty());
  EXPECT_THAT(trust.denied, ElementsAre(AccountScope{"team-b", "ci"}, kBackup));
}

TEST(DenyTest, NeverEmptiesANarrowGrant) {
  SourceTrust trust{.only = {kReports}};
  EXPECT_TRUE(Deny(trust, kReports, Fencing::kFence).ok());
  EXPECT_THAT(trust.only, ElementsAre(kReports)) << "empty would be every account";
  EXPECT_THAT(trust.denied, ElementsAre(kReports));
}

TEST(DenyTest, WithoutAFenceTheLastAccountCannotBeDenied) {
  SourceTrust trust{.target_name = "cluster1", .only = {kReports}};
  const absl::Status status = Deny(trust, kReports, Fencing::kNone);
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("kubemcsa unbootstrap"));
  EXPECT_EQ(trust, (SourceTrust{.target_name = "cluster1", .only = {kReports}}));
}

TEST(DenyTest, WithoutAFenceAnAccountOfAWholeNamespaceCannotBeDenied) {
  SourceTrust trust{.only = {kTeamA, kReports}};
  EXPECT_THAT(std::string(Deny(trust, kReports, Fencing::kNone).message()), HasSubstr("team-a as a whole"));
}

TEST(DenyTest, WithoutAFenceAnAccountThatWasNotGrantedIsDeniedAlready) {
  SourceTrust trust{.only = {kReports}};
  EXPECT_TRUE(Deny(trust, {"team-b", "ci"}, Fencing::kNone).ok());
  EXPECT_THAT(trust.only, ElementsAre(kReports));
}

TEST(ParseTrustTest, ReadsWhatWasSerialized) {
  const JsonObject object{{"metadata", JsonObject{{"annotations", JsonObject{{kTrustKey, SerializeTrust(Narrow())}}}}}};
  EXPECT_EQ(*ParseTrust(object), Narrow());
}

TEST(ParseTrustTest, RefusesAnObjectThatKeepsNone) {
  for (const char* text : {"", "nonsense", R"({"only": ["a/b/c"]})"}) {
    const JsonObject object{{"metadata", JsonObject{{"annotations", JsonObject{{kTrustKey, text}}}}}};
    EXPECT_TRUE(absl::IsInvalidArgument(ParseTrust(object).status())) << text;
  }
}

}  // namespace
}  // namespace k8s
