#include "k8s/api/exec_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "k8s/fakes/fake_clock.h"

namespace k8s {
namespace {

// Calls a server that accepts one token.
class TokenTransport final : public HttpTransport {
 public:
  TokenTransport(const std::string& token, const std::string& accepted) : token_(token), accepted_(accepted) {}

  absl::StatusOr<HttpResponse> Send(const HttpRequest& request) override {
    const std::string token = request.bearer ? std::string(request.bearer->Reveal()) : token_;
    return HttpResponse{.status = token == accepted_ ? 200 : 401};
  }
  absl::StatusOr<HttpResponse> Stream(const HttpRequest& request, absl::Duration, const StreamCanceller&,
                                      const std::function<bool(std::string_view)>&) override {
    return Send(request);
  }

 private:
  const std::string token_;
  const std::string& accepted_;
};

class ExecTransportTest : public testing::Test {
 protected:
  // The HTTP status of a call, or 0 for an error of the plugin.
  int Call(HttpRequest request = {.method = "GET", .path = "/version"}) {
    const absl::StatusOr<HttpResponse> response = transport_.Send(request);
    if (response.ok()) return response->status;
    EXPECT_TRUE(absl::IsUnauthenticated(response.status()));
    return 0;
  }

  absl::StatusOr<ExecSession> Run() {
    ++runs_;
    if (printed_.empty()) return absl::UnauthenticatedError("exec plugin login exited with status 1");
    return ExecSession{{.token = SecretString(printed_), .expires_at = clock_.Now() + lifetime_},
                       std::make_unique<TokenTransport>(printed_, accepted_)};
  }

  int runs_ = 0;
  std::string printed_ = "good";  // by the plugin, which fails while it is empty
  absl::Duration lifetime_ = absl::Hours(1);
  std::string accepted_ = "good";
  FakeClock clock_;
  ExecTransport transport_{std::make_unique<TokenTransport>("", accepted_), [this] { return Run(); }, clock_};
};

TEST_F(ExecTransportTest, ThePluginIsRunOnceForManyCalls) {
  EXPECT_EQ(Call(), 200);
  EXPECT_EQ(Call(), 200);
  EXPECT_EQ(runs_, 1);
}

TEST_F(ExecTransportTest, APluginThatFailsAtFirstIsRunAgainWithABackOff) {
  printed_ = "";
  for (int i = 0; i < 100; ++i) {  // in 10 s
    EXPECT_EQ(Call(), 0);
    clock_.Advance(absl::Milliseconds(100));
  }
  EXPECT_EQ(runs_, 4);  // after 0, 1, 3 and 7 s
  printed_ = "good";
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(Call(), 200);
}

TEST_F(ExecTransportTest, OnceAMinuteAtLeast) {
  printed_ = "";
  for (int i = 0; i < 60; ++i) {
    EXPECT_EQ(Call(), 0);
    clock_.Advance(absl::Minutes(1));
  }
  EXPECT_EQ(runs_, 60);
}

TEST_F(ExecTransportTest, ACredentialIsReplacedBeforeItEnds) {
  EXPECT_EQ(Call(), 200);
  clock_.Advance(absl::Minutes(59));
  printed_ = accepted_ = "next";
  EXPECT_EQ(Call(), 200);
  EXPECT_EQ(runs_, 2);
}

TEST_F(ExecTransportTest, ACredentialOfHalfAMinuteServesManyCalls) {
  lifetime_ = absl::Seconds(30);
  for (int i = 0; i < 14; ++i) {
    EXPECT_EQ(Call(), 200);
    clock_.Advance(absl::Seconds(1));
  }
  EXPECT_EQ(runs_, 1);
}

TEST_F(ExecTransportTest, WhileThePluginFailsTheCredentialServesToItsEnd) {
  EXPECT_EQ(Call(), 200);
  printed_ = "";
  clock_.Advance(absl::Seconds(59 * 60 + 1));
  EXPECT_EQ(Call(), 200);
  EXPECT_EQ(Call(), 200);
  EXPECT_EQ(runs_, 2);
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(Call(), 0);
  printed_ = "good";
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(Call(), 200);
}

TEST_F(ExecTransportTest, ACredentialThatCameWithoutALifeToLiveServesForASecond) {
  lifetime_ = -absl::Hours(1);     // our clock is ahead of the plugin's
  for (int i = 0; i < 100; ++i) {  // in 10 s
    EXPECT_EQ(Call(), 200);
    clock_.Advance(absl::Milliseconds(100));
  }
  EXPECT_EQ(runs_, 10);
}

TEST_F(ExecTransportTest, ARefusedCredentialIsReplacedWithinTheCall) {
  EXPECT_EQ(Call(), 200);
  clock_.Advance(absl::Seconds(1));
  printed_ = accepted_ = "next";
  EXPECT_EQ(Call(), 200);
}

TEST_F(ExecTransportTest, AServerThatRefusesAllOfThemCostsARunAtTimesOnly) {
  EXPECT_EQ(Call(), 200);
  clock_.Advance(absl::Seconds(1));
  accepted_ = "none";
  for (int i = 0; i < 100; ++i) {  // in 10 s
    EXPECT_EQ(Call(), 401);
    clock_.Advance(absl::Milliseconds(100));
  }
  EXPECT_EQ(runs_, 5);
}

TEST_F(ExecTransportTest, ARefusedCredentialThatCannotBeReplacedServesNoMore) {
  EXPECT_EQ(Call(), 200);
  clock_.Advance(absl::Seconds(1));
  accepted_ = "next";
  printed_ = "";
  EXPECT_EQ(Call(), 0);
  EXPECT_EQ(Call(), 0);
  EXPECT_EQ(runs_, 2);
}

TEST_F(ExecTransportTest, ARequestWithACredentialOfItsOwnNeedsNoPlugin) {
  EXPECT_EQ(Call({.method = "POST", .path = "/review", .bearer = SecretString("good")}), 200);
  EXPECT_EQ(runs_, 0);
}

}  // namespace
}  // namespace k8s
