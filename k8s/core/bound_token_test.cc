#include "k8s/core/bound_token.h"

#include <absl/strings/escaping.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "k8s/core/refresh_schedule.h"

namespace k8s {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;

SecretString Jwt(const std::string& claims) {
  return SecretString("e30." + absl::WebSafeBase64Escape(claims) + ".c2ln");
}

Json Answer(const SecretString& token, const std::string& expires) {
  return JsonObject{{"status", JsonObject{{"token", token.Reveal()}, {"expirationTimestamp", expires}}}};
}

const char kHourClaims[] = R"({"iat": 1000, "exp": 4600, "jti": "id", "sub": "system:serviceaccount:ns:sa",
    "aud": ["api"], "kubernetes.io": {"serviceaccount": {"uid": "account-uid"}}})";

TEST(ParseBoundTokenTest, ReadsTheClaims) {
  const absl::StatusOr<BoundToken> token = ParseBoundToken(Jwt(kHourClaims));
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(token->lifetime, absl::Hours(1));
  EXPECT_EQ(token->token_id, "JTI=id");
  EXPECT_EQ(token->subject, ServiceAccountUser("ns", "sa"));
  EXPECT_EQ(token->account_uid, "account-uid");
}

TEST(ParseBoundTokenTest, RefusesWhatIsNoTokenWithoutRepeatingIt) {
  for (const char* text : {"canary", "canary.canary.canary", "e30.e30.canary", "", ".."}) {
    const absl::Status status = ParseBoundToken(SecretString(text)).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("canary")));
  }
}

TEST(ParseTokenRequestAnswerTest, ACenturyIsNotBelieved) {
  const auto token = ParseTokenRequestAnswer(Answer(Jwt(R"({"iat": 1000, "exp": 3155761000})"), "2070-01-01T00:00:00Z"),
                                             absl::Hours(1));
  ASSERT_TRUE(token.ok());
  EXPECT_EQ(token->lifetime, absl::Hours(1));
}

TEST(ParseTokenRequestAnswerTest, AShorterGrantCounts) {
  const auto token =
      ParseTokenRequestAnswer(Answer(Jwt(kHourClaims), ToRfc3339(absl::FromUnixSeconds(1600))), absl::Hours(1));
  ASSERT_TRUE(token.ok());
  EXPECT_EQ(token->lifetime, absl::Minutes(10));
}

TEST(RefreshAgeTest, FallsBetweenFiftyAndSixtyPercentAndParts) {
  BoundToken token = *ParseBoundToken(Jwt(kHourClaims));
  absl::Duration least = absl::InfiniteDuration(), most = absl::ZeroDuration();
  for (int i = 0; i < 1000; ++i) {
    token.token_id = std::to_string(i);
    EXPECT_THAT(RefreshAge(token), AllOf(Ge(absl::Minutes(30)), Le(absl::Minutes(36))));
    least = std::min(least, RefreshAge(token));
    most = std::max(most, RefreshAge(token));
  }
  EXPECT_GT(most - least, absl::Minutes(5));
}

TEST(TokenAgeTest, AJumpOfTheWallClockDoesNotAgeATokenThatWeReceived) {
  const BoundToken token = *ParseBoundToken(Jwt(kHourClaims));
  EXPECT_EQ(TokenAge(token, absl::Minutes(5), token.issued_at + absl::Hours(100)), absl::Minutes(5));
}

TEST(TokenAgeTest, ATokenFromBeforeOurStartIsAsOldAsItsServerSays) {
  const BoundToken token = *ParseBoundToken(Jwt(kHourClaims));
  EXPECT_EQ(TokenAge(token, absl::InfiniteDuration(), token.issued_at + absl::Minutes(7)), absl::Minutes(7));
}

}  // namespace
}  // namespace k8s
