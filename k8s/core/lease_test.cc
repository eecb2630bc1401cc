#include "k8s/core/lease.h"

#include <gtest/gtest.h>

namespace k8s {
namespace {

const LeaseView kHeldByOther{.holder = "other",
                             .lease_duration = absl::Seconds(15),
                             .last_change = absl::Seconds(100),
                             .last_renewed = -absl::InfiniteDuration()};

TEST(DecideLeaseTest, WaitsAsLongAsTheHolderMayBeAlive) {
  EXPECT_EQ(DecideLease(kHeldByOther, "me", absl::Seconds(115)), LeaseDecision::kWait);
}

TEST(DecideLeaseTest, TakesOverFromASilentHolder) {
  EXPECT_EQ(DecideLease(kHeldByOther, "me", absl::Seconds(116)), LeaseDecision::kAcquire);
}

TEST(DecideLeaseTest, TakesAReleasedLeaseAtOnce) {
  LeaseView view = kHeldByOther;
  view.holder = "";
  EXPECT_EQ(DecideLease(view, "me", absl::Seconds(100)), LeaseDecision::kAcquire);
}

TEST(MayLeadTest, EndsWhenTheHolderCouldNotRenewInTime) {
  LeaseView view = kHeldByOther;
  view.holder = "me";
  view.last_renewed = absl::Seconds(100);
  EXPECT_TRUE(MayLead(view, "me", LeaseTiming(), absl::Seconds(109)));
  EXPECT_FALSE(MayLead(view, "me", LeaseTiming(), absl::Seconds(110)));
}

TEST(MayLeadTest, AHolderStopsBeforeAnotherMayTakeOver) {
  const LeaseTiming timing;
  EXPECT_LT(timing.renew_deadline, timing.lease_duration);
}

}  // namespace
}  // namespace k8s
