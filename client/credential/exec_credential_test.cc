#include "client/credential/exec_credential.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "k8s/core/json.h"

namespace credential {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

// Issued at 1,800,000,000 s, which is 2027-01-15T08:00:00Z.
k8s::SecretString TokenOf(int life_seconds, const std::string& padding = "") {
  const std::string claims =
      absl::StrCat(R"({"iat":1800000000,"exp":)", 1'800'000'000 + life_seconds, R"(,"pad":")", padding, R"("})");
  return k8s::SecretString(absl::StrCat("e30.", absl::WebSafeBase64Escape(claims), ".canary"));
}

TEST(BuildExecCredentialTest, IsOneLineThatClientsOfV1Understand) {
  const auto line = BuildExecCredential(TokenOf(3600));
  ASSERT_TRUE(line.ok()) << line.status();
  const std::string text(line->Reveal());
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const auto json = k8s::ParseJson(text);
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(k8s::StringAt(*json, {"apiVersion"}), "client.authentication.k8s.io/v1");
  EXPECT_EQ(k8s::StringAt(*json, {"kind"}), "ExecCredential");
  EXPECT_EQ(k8s::StringAt(*json, {"status", "token"}), TokenOf(3600).Reveal());
}

TEST(BuildExecCredentialTest, ExpiresHalfAMinuteBeforeTheToken) {
  EXPECT_THAT(std::string(BuildExecCredential(TokenOf(3600))->Reveal()), HasSubstr("\"2027-01-15T08:59:30Z\""));
}

TEST(BuildExecCredentialTest, AShortLifeLosesATenthAtMost) {
  EXPECT_THAT(std::string(BuildExecCredential(TokenOf(100))->Reveal()), HasSubstr("\"2027-01-15T08:01:30Z\""));
}

TEST(BuildExecCredentialTest, RefusesWhatDoesNotFitTheBufferOfTheCClient) {
  const absl::Status status = BuildExecCredential(TokenOf(3600, std::string(3000, 'x'))).status();
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("use the token file"), Not(HasSubstr("canary"))));
}

TEST(BuildExecCredentialTest, RefusesWhatIsNoTokenWithoutRepeatingIt) {
  for (const char* text : {"", "canary", "canary.canary.canary"}) {
    const absl::Status status = BuildExecCredential(k8s::SecretString(text)).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("canary")));
  }
}

}  // namespace
}  // namespace credential
