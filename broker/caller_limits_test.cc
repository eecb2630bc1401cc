#include "broker/caller_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace broker {
namespace {

const absl::Duration kNow = absl::Hours(1);
constexpr CallerLimits::Limits kLimits;

TEST(CallerLimitsTest, APodMayCallInBurstsAndThenAtARate) {
  CallerLimits limits(kLimits);
  for (int i = 0; i < kLimits.burst; ++i) EXPECT_TRUE(limits.Admit("pod", kNow).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(limits.Admit("pod", kNow)));
  const absl::Duration one_more = absl::Seconds(1 / kLimits.calls_per_second);
  EXPECT_TRUE(limits.Admit("pod", kNow + one_more).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(limits.Admit("pod", kNow + one_more)));
}

TEST(CallerLimitsTest, AGreedyPodHoldsUpNoOther) {
  CallerLimits limits(kLimits);
  while (limits.Admit("greedy", kNow).ok()) {
  }
  EXPECT_TRUE(limits.Admit("other", kNow).ok());
}

TEST(CallerLimitsTest, AStreamThatClosesMakesRoom) {
  CallerLimits limits(kLimits);
  for (int i = 0; i < kLimits.streams; ++i) EXPECT_TRUE(limits.Open("pod", kNow).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(limits.Open("pod", kNow)));
  limits.Close("pod", kNow);
  EXPECT_TRUE(limits.Open("pod", kNow).ok());
}

TEST(CallerLimitsTest, ForgetsPodsThatAreIdle) {
  CallerLimits limits(kLimits);
  ASSERT_TRUE(limits.Open("open", kNow).ok());
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(limits.Admit(std::to_string(i), kNow + absl::Seconds(i)).ok());
  EXPECT_LT(limits.size(), 2100);
  EXPECT_TRUE(limits.Admit("open", kNow).ok());
  for (int i = 1; i < kLimits.streams; ++i) EXPECT_TRUE(limits.Open("open", kNow).ok());
  EXPECT_FALSE(limits.Open("open", kNow).ok());
}

}  // namespace
}  // namespace broker
