#include "broker/reachability.h"

#include <gtest/gtest.h>

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
  Reachability reachability_{transport_, clock_, [] {}};
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

}  // namespace
}  // namespace broker
