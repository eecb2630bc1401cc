#include "broker/reachability.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <vector>

#include "k8s/fakes/fake_clock.h"
#include "k8s/fakes/fake_transport.h"

namespace broker {
namespace {

constexpr char kWatch[] = "/api/v1/serviceaccounts?watch=1";

class Never final : public k8s::StreamCanceller {
 public:
  bool Cancelled() const override { return false; }
};

class ReachabilityTest : public testing::Test {
 protected:
  absl::Status Watch(absl::Duration idle_timeout = absl::Seconds(10)) {
    return reachability_
        .Stream({.method = "GET", .path = kWatch}, idle_timeout, Never(), [](std::string_view) { return true; })
        .status();
  }

  k8s::FakeTransport transport_;
  k8s::FakeClock clock_;
  Reachability reachability_{transport_, clock_, [](const absl::Status&) {}};
};

TEST_F(ReachabilityTest, AServerThatCannotBeReachedIsAskedNoMore) {
  transport_.FailNext("GET /api", 1, absl::UnavailableError("no route"));
  EXPECT_TRUE(absl::IsUnavailable(Watch()));
  EXPECT_TRUE(absl::IsUnavailable(Watch()));
  EXPECT_EQ(transport_.CountRequests("GET /api"), 1);
}

TEST_F(ReachabilityTest, WhatBecomesOfAStreamAfterItsHeadSaysNothing) {
  EXPECT_TRUE(absl::IsDeadlineExceeded(Watch(absl::Milliseconds(50))));  // the head, then silence
  EXPECT_TRUE(reachability_.error().ok());
  transport_.FailNext("GET /api", 1, absl::AbortedError("the connection broke"));
  EXPECT_TRUE(absl::IsAborted(Watch()));
  EXPECT_TRUE(reachability_.error().ok());
}

TEST_F(ReachabilityTest, TheServersTimeIsThatOfAStreamsHead) {
  const absl::Time server_now = clock_.Now() + absl::Hours(1);
  transport_.Respond("GET /api", [&](const k8s::HttpRequest&) {
    k8s::HttpResponse response;
    response.status = 200;
    response.date = server_now;
    return response;
  });
  // Five minutes, as a watch lasts.
  ASSERT_TRUE(reachability_
                  .Stream({.method = "GET", .path = kWatch}, absl::Seconds(10), Never(),
                          [&](std::string_view) {
                            clock_.Advance(absl::Minutes(5));
                            return true;
                          })
                  .ok());
  EXPECT_EQ(reachability_.ServerNow(), server_now + absl::Minutes(5));
}

TEST_F(ReachabilityTest, TellsForHowLongAServerHasBeenOutOfReach) {
  EXPECT_FALSE(reachability_.HasAnswered());
  transport_.FailNext("GET /", 100, absl::UnavailableError("no route"));
  EXPECT_TRUE(absl::IsUnavailable(Watch()));
  clock_.Advance(absl::Seconds(7));
  EXPECT_EQ(reachability_.OutOfReachFor(), absl::Seconds(7));
  EXPECT_FALSE(reachability_.HasAnswered());
}

TEST_F(ReachabilityTest, AServerThatAnsweredIsInReach) {
  EXPECT_TRUE(absl::IsDeadlineExceeded(Watch(absl::Milliseconds(50))));
  EXPECT_TRUE(reachability_.HasAnswered());
  EXPECT_EQ(reachability_.OutOfReachFor(), absl::ZeroDuration());
}

// An exec plugin that fails. What has a credential of its own, the review of an import's token, needs none: an
// UNAUTHENTICATED there would be taken for the token's end.
TEST_F(ReachabilityTest, WithoutACredentialOnlyRequestsThatBringOneAreSent) {
  transport_.FailNext("GET /", 100, absl::UnauthenticatedError("exec plugin aws exited with status 255"));
  EXPECT_TRUE(absl::IsUnauthenticated(Watch()));
  EXPECT_TRUE(absl::IsUnauthenticated(Watch()));
  EXPECT_EQ(transport_.CountRequests("GET /api"), 1);
  transport_.Respond("POST /review", [](const k8s::HttpRequest&) { return k8s::HttpResponse{.status = 201}; });
  EXPECT_TRUE(
      reachability_.Send({.method = "POST", .path = "/review", .bearer = k8s::SecretString("an import's")}).ok());
  EXPECT_TRUE(absl::IsUnauthenticated(reachability_.error()));
}

TEST_F(ReachabilityTest, ACredentialThatIsThereAgainIsNoticed) {
  std::mutex mu;
  std::condition_variable wake;
  std::vector<absl::StatusCode> told;
  Reachability reachability(transport_, clock_, [&](const absl::Status& error) {
    std::lock_guard lock(mu);
    told.push_back(error.code());
    wake.notify_all();
  });
  transport_.FailNext("GET /", 1, absl::UnauthenticatedError("exec plugin aws exited with status 255"));
  EXPECT_TRUE(absl::IsUnauthenticated(reachability.Send({.method = "GET", .path = "/api"}).status()));
  std::unique_lock lock(mu);
  wake.wait(lock, [&] { return told.size() == 2; });
  EXPECT_THAT(told, testing::ElementsAre(absl::StatusCode::kUnauthenticated, absl::StatusCode::kOk));
}

}  // namespace
}  // namespace broker
