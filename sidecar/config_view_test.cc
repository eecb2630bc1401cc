#include "sidecar/config_view.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "k8s/core/build_secret.h"
#include "k8s/core/names.h"

namespace sidecar {
namespace {

using ::mcsa::v1::Config;
using ::mcsa::v1::ImportError;
using ::mcsa::v1::ImportState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;

const absl::Time kIssued = absl::FromUnixSeconds(1'800'000'000);
constexpr absl::Duration kLife = absl::Hours(1);
// The monotonic clock of these tests stands at 100 h when the wall clock shows kIssued.
Instant After(absl::Duration span) {
  return {kIssued + span, absl::Hours(100) + span};
}
const Connection kUp{.up = true, .since = After(absl::ZeroDuration())};
const Connection kDown{.up = false, .since = After(absl::ZeroDuration()), .error = "no route"};

std::string TokenText(absl::Time issued) {
  const std::string claims =
      absl::StrCat(R"({"iat":)", absl::ToUnixSeconds(issued), R"(,"exp":)", absl::ToUnixSeconds(issued + kLife), "}");
  return absl::StrCat("e30.", absl::WebSafeBase64Escape(claims), ".canary");
}

FileContents Mounted(absl::Time issued, const std::string& server = "https://east") {
  return k8s::BuildSecretData("a", {.server = server, .ca_bundle = "PEM", .namespace_name = "ns"},
                              k8s::SecretString(TokenText(issued)));
}

FileContents WithoutToken() {
  FileContents files = Mounted(kIssued);
  for (const char* key : k8s::kCredentialKeys) files.erase(key);
  return files;
}

ImportState Sent(absl::Time issued, absl::Duration left) {
  k8s::RemoteConfig config = *k8s::ParseRemoteConfig("a", "east", Mounted(issued));
  ImportState message;
  message.set_name("a");
  k8s::FillConfig(config, kLife - left, "because", *message.mutable_config());
  return message;
}

ImportState Error(ImportError::Code code) {
  ImportState message;
  message.set_name("a");
  message.mutable_error()->set_code(code);
  message.mutable_error()->set_reason("Because");
  message.mutable_error()->set_message("It is so");
  return message;
}

ImportState Serve(const ImportView& view, const Connection& connection, Instant now) {
  ImportState message;
  FillImportState(view, connection, now.monotonic, message);
  return message;
}

std::string ServedToken(const ImportView& view, Instant now) {
  return Serve(view, kUp, now).config().token();
}

class ConfigViewTest : public ::testing::Test {
 protected:
  void Mount(const FileContents& files, absl::Duration span, const Connection& connection = kDown) {
    EXPECT_TRUE(ApplyMount(view_, files, connection, After(span)).ok());
  }
  void Send(const ImportState& message, absl::Duration span) {
    EXPECT_TRUE(ApplyMessage(view_, message, After(span)).ok());
  }

  ImportView view_{.name = "a"};
};

TEST_F(ConfigViewTest, ServesTheMountedSecretBeforeTheFirstStream) {
  Mount(Mounted(kIssued), absl::Minutes(1));
  const ImportState served = Serve(view_, kDown, After(absl::Seconds(20)));
  EXPECT_EQ(served.config().state(), Config::FRESH);
  EXPECT_EQ(served.config().token(), TokenText(kIssued));
  EXPECT_EQ(served.config().server(), "https://east");
}

TEST_F(ConfigViewTest, IsNotReadyWithoutAnything) {
  const ImportState served = Serve(view_, kDown, After(absl::Seconds(1)));
  EXPECT_EQ(served.error().code(), ImportError::NOT_READY);
  EXPECT_THAT(served.error().message(), HasSubstr("no route"));
  EXPECT_FALSE(BuildFiles(view_, After(absl::Seconds(1)).monotonic).has_value());
  EXPECT_FALSE(BuildEntry(view_, "/plugin").has_value());
}

TEST_F(ConfigViewTest, TheNewerOfFileAndStreamWinsWhicheverComesLast) {
  Mount(Mounted(kIssued), absl::ZeroDuration());
  Send(Sent(kIssued + absl::Minutes(30), kLife), absl::Minutes(30));
  Mount(Mounted(kIssued), absl::Minutes(31));
  EXPECT_EQ(ServedToken(view_, After(absl::Minutes(31))), TokenText(kIssued + absl::Minutes(30)));
  Mount(Mounted(kIssued + absl::Minutes(60)), absl::Minutes(60));
  EXPECT_EQ(ServedToken(view_, After(absl::Minutes(60))), TokenText(kIssued + absl::Minutes(60)));
}

TEST_F(ConfigViewTest, AReplicaThatIsBehindDoesNotTakeANewerTokenAway) {
  Send(Sent(kIssued + absl::Minutes(30), kLife), absl::Minutes(30));
  ForgetStream(view_);
  Send(Sent(kIssued, absl::Minutes(29)), absl::Minutes(31));
  EXPECT_EQ(ServedToken(view_, After(absl::Minutes(31))), TokenText(kIssued + absl::Minutes(30)));
}

TEST_F(ConfigViewTest, NorDoesItBringARevokedOneBack) {
  Send(Sent(kIssued, kLife), absl::ZeroDuration());
  Send(Error(ImportError::REVOKED), absl::Minutes(1));
  ForgetStream(view_);
  Send(Sent(kIssued, kLife), absl::Minutes(2));
  EXPECT_EQ(Serve(view_, kUp, After(absl::Minutes(2))).error().code(), ImportError::REVOKED);
  Send(Sent(kIssued + absl::Minutes(2), kLife), absl::Minutes(2));
  EXPECT_EQ(ServedToken(view_, After(absl::Minutes(2))), TokenText(kIssued + absl::Minutes(2)));
}

// The clock of its source was set back: by its own word the newer token is the older.
TEST_F(ConfigViewTest, AStreamIsNeverBehindItself) {
  Send(Sent(kIssued + absl::Hours(1), kLife), absl::Minutes(1));
  Send(Sent(kIssued, kLife), absl::Minutes(2));
  EXPECT_EQ(ServedToken(view_, After(absl::Minutes(2))), TokenText(kIssued));
}

TEST_F(ConfigViewTest, OwnFilesOfAnEarlierRunAreTakenIfTheyAreNewer) {
  Mount(Mounted(kIssued), absl::Minutes(31));
  ApplyOwnFiles(view_, Mounted(kIssued + absl::Minutes(30)), After(absl::Minutes(31)));
  EXPECT_EQ(ServedToken(view_, After(absl::Minutes(31))), TokenText(kIssued + absl::Minutes(30)));
  ApplyOwnFiles(view_, Mounted(kIssued + absl::Minutes(10)), After(absl::Minutes(31)));
  EXPECT_EQ(ServedToken(view_, After(absl::Minutes(31))), TokenText(kIssued + absl::Minutes(30)));
}

TEST_F(ConfigViewTest, WithoutAStreamItIsStaleAfterHalfAMinuteAndSaysWhy) {
  Mount(Mounted(kIssued), absl::ZeroDuration());
  EXPECT_EQ(Serve(view_, kDown, After(absl::Seconds(29))).config().state(), Config::FRESH);
  EXPECT_EQ(NextChange(view_, kDown, After(absl::Seconds(29)).monotonic), absl::Seconds(1));
  const ImportState served = Serve(view_, kDown, After(absl::Seconds(30)));
  EXPECT_EQ(served.config().state(), Config::STALE);
  EXPECT_EQ(served.config().state_reason(),
            "There is no stream to the broker since 2027-01-15T08:00:00+00:00: no route");
}

TEST_F(ConfigViewTest, IsStaleWhenItsRenewalIsOverdueThoughTheStreamIsUp) {
  Send(Sent(kIssued, kLife), absl::ZeroDuration());
  EXPECT_EQ(Serve(view_, kUp, After(absl::Minutes(41))).config().state(), Config::FRESH);
  EXPECT_EQ(NextChange(view_, kUp, After(absl::Minutes(41)).monotonic), absl::Minutes(1));
  EXPECT_EQ(Serve(view_, kUp, After(absl::Minutes(42))).config().state(), Config::STALE);
}

TEST_F(ConfigViewTest, WhatTheBrokerCallsStaleIsStale) {
  ImportState message = Sent(kIssued, kLife);
  message.mutable_config()->set_state(Config::STALE);
  message.mutable_config()->set_state_reason("The cluster is out of reach");
  Send(message, absl::ZeroDuration());
  EXPECT_EQ(Serve(view_, kUp, After(absl::Minutes(1))).config().state_reason(), "The cluster is out of reach");
}

TEST_F(ConfigViewTest, ServesTheLastGoodTokenToItsVeryEnd) {
  Send(Sent(kIssued, kLife), absl::ZeroDuration());
  Send(Error(ImportError::NOT_READY), absl::Minutes(1));
  const Instant last = After(kLife - absl::Seconds(1));
  EXPECT_EQ(Serve(view_, kDown, last).config().token(), TokenText(kIssued));
  EXPECT_EQ(NextChange(view_, kDown, last.monotonic), absl::Seconds(1));
  const ImportState over = Serve(view_, kDown, After(kLife));
  EXPECT_EQ(over.config().state(), Config::EXPIRED);
  EXPECT_EQ(over.config().token(), "");
  EXPECT_EQ(NextChange(view_, kDown, After(kLife).monotonic), absl::InfiniteDuration());
  EXPECT_FALSE(BuildFiles(view_, After(kLife).monotonic).has_value()) << "the files stay as they are";
}

TEST_F(ConfigViewTest, AWallClockThatIsSetLaterChangesNothing) {
  for (const absl::Duration jump : {absl::Hours(1), -absl::Hours(1)}) {
    view_ = {.name = "a"};
    Mount(Mounted(kIssued), absl::ZeroDuration());
    Instant now = After(absl::Minutes(30));
    now.wall += jump;
    // The same Secret is read again, by the new clock.
    ASSERT_TRUE(ApplyMount(view_, Mounted(kIssued), kDown, now).ok());
    EXPECT_EQ(Serve(view_, kUp, now).config().state(), Config::FRESH) << jump;
    EXPECT_EQ(Serve(view_, kUp, After(kLife)).config().state(), Config::EXPIRED) << jump;
  }
}

TEST_F(ConfigViewTest, TheBrokersCountOfLifeHoldsWhateverOurClockSays) {
  for (const absl::Duration jump : {absl::Hours(2), -absl::Hours(2)}) {
    view_ = {.name = "a"};
    Instant now = After(absl::ZeroDuration());
    now.wall += jump;
    ASSERT_TRUE(ApplyMessage(view_, Sent(kIssued, kLife), now).ok());
    EXPECT_EQ(ServedToken(view_, After(kLife - absl::Seconds(1))), TokenText(kIssued)) << jump;
    EXPECT_EQ(Serve(view_, kUp, After(kLife)).config().state(), Config::EXPIRED) << jump;
  }
}

TEST_F(ConfigViewTest, AMountedTokenFromTheFutureLivesNoLongerThanItsLife) {
  ASSERT_TRUE(ApplyMount(view_, Mounted(kIssued), kDown, {kIssued - absl::Hours(1), absl::Hours(100)}).ok());
  EXPECT_EQ(Serve(view_, kUp, After(kLife)).config().state(), Config::EXPIRED);
}

TEST_F(ConfigViewTest, ARevocationTakesTheTokenAndItsFilesAtOnce) {
  for (const ImportError::Code code : {ImportError::REVOKED, ImportError::NOT_FOUND, ImportError::NOT_ALLOWED}) {
    view_ = {.name = "a"};
    Mount(Mounted(kIssued), absl::ZeroDuration());
    Send(Error(code), absl::Minutes(1));
    const ImportState served = Serve(view_, kUp, After(absl::Minutes(1)));
    EXPECT_EQ(served.error().code(), code);
    EXPECT_THAT(*BuildFiles(view_, After(absl::Minutes(1)).monotonic),
                ElementsAre(Key(k8s::kCaKey), Key(k8s::kNamespaceKey), Key(k8s::kServerKey)));
    EXPECT_TRUE(BuildEntry(view_, "/plugin").has_value());
  }
}

TEST_F(ConfigViewTest, ALateMountDoesNotUndoARevocationButANewTokenDoes) {
  Mount(Mounted(kIssued), absl::ZeroDuration());
  Send(Error(ImportError::REVOKED), absl::Minutes(1));
  Mount(Mounted(kIssued), absl::Minutes(2));
  EXPECT_TRUE(Serve(view_, kDown, After(absl::Minutes(2))).has_error());
  Mount(Mounted(kIssued + absl::Minutes(3)), absl::Minutes(4));
  EXPECT_TRUE(Serve(view_, kDown, After(absl::Minutes(4))).has_config());
}

TEST_F(ConfigViewTest, ASecretThatLosesItsTokenIsARevocationWhileThereIsNoStream) {
  Mount(Mounted(kIssued), absl::ZeroDuration());
  Mount(WithoutToken(), absl::Minutes(1), kUp);
  EXPECT_TRUE(Serve(view_, kUp, After(absl::Minutes(1))).has_config()) << "the broker's word is newer";
  Mount(Mounted(kIssued), absl::Minutes(2));
  Mount(WithoutToken(), absl::Minutes(3));
  EXPECT_EQ(Serve(view_, kDown, After(absl::Minutes(3))).error().code(), ImportError::REVOKED);
}

TEST_F(ConfigViewTest, ASecretThatNeverHadATokenSaysNothing) {
  Send(Sent(kIssued, kLife), absl::ZeroDuration());
  Mount(FileContents(), absl::Minutes(1));
  EXPECT_TRUE(Serve(view_, kDown, After(absl::Minutes(1))).has_config());
}

TEST_F(ConfigViewTest, NonsenseChangesNothing) {
  Mount(Mounted(kIssued), absl::ZeroDuration());
  FileContents files = Mounted(kIssued + absl::Minutes(1));
  files[k8s::kTokenKey] = k8s::SecretString("canary");
  const absl::Status status = ApplyMount(view_, files, kDown, After(absl::Minutes(1)));
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("canary")));
  ImportState message = Sent(kIssued + absl::Minutes(1), kLife);
  message.mutable_config()->clear_server();
  EXPECT_TRUE(absl::IsInvalidArgument(ApplyMessage(view_, message, After(absl::Minutes(1)))));
  EXPECT_TRUE(ApplyMessage(view_, ImportState(), After(absl::Minutes(1))).ok());
  EXPECT_EQ(ServedToken(view_, After(absl::Minutes(1))), TokenText(kIssued));
}

TEST_F(ConfigViewTest, FollowsANewAddressWithTheSameToken) {
  Mount(Mounted(kIssued), absl::ZeroDuration());
  Mount(Mounted(kIssued, "https://west"), absl::Minutes(1));
  EXPECT_EQ(Serve(view_, kDown, After(absl::Minutes(1))).config().server(), "https://west");
  EXPECT_EQ(BuildEntry(view_, "/plugin")->server, "https://west");
}

TEST_F(ConfigViewTest, TheBrokersExpiredTokenIsOver) {
  Mount(Mounted(kIssued), absl::ZeroDuration());
  Send(Sent(kIssued, absl::ZeroDuration()), absl::Minutes(10));
  EXPECT_EQ(Serve(view_, kUp, After(absl::Minutes(10))).config().state(), Config::EXPIRED);
}

}  // namespace
}  // namespace sidecar
