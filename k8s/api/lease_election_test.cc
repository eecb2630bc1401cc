#include "k8s/api/lease_election.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "k8s/fakes/fake_transport.h"

namespace k8s {
namespace {

const ObjectKey kLease{"ns", "broker"};
constexpr char kLeasePath[] = "/apis/coordination.k8s.io/v1/namespaces/ns/leases/broker";
constexpr LeaseTiming kTiming{
    .lease_duration = absl::Seconds(2), .renew_deadline = absl::Seconds(1), .retry_period = absl::Milliseconds(100)};

class LeaseElectionTest : public testing::Test {
 protected:
  std::unique_ptr<LeaseElection> Candidate(const std::string& identity) {
    return std::make_unique<LeaseElection>(client_, kLease, identity, kTiming, SystemClock(),
                                           [this](bool leads) { ++(leads ? begun_ : ended_); });
  }

  // By asking: what is waited for includes that time passes.
  static bool Within(absl::Duration span, const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(span);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }

  std::string Holder() {
    const std::optional<Json> lease = transport_.Find(kLeasePath);
    return lease ? StringAt(*lease, {"spec", "holderIdentity"}) : "";
  }

  FakeTransport transport_;
  Client client_{transport_};
  std::atomic<int> begun_ = 0, ended_ = 0;  // terms, as candidates told of them
};

// By reconcilers, while it takes and renews the Lease.
TEST_F(LeaseElectionTest, IsAskedAtAnyTime) {
  const auto candidate = Candidate("a");
  std::atomic<bool> over = false;
  std::thread asker([&] {
    while (!over) {
      const bool leads = candidate->IsLeader();
      EXPECT_GE(candidate->leader_generation(), leads ? 1 : 0);
      std::this_thread::yield();
    }
  });
  EXPECT_TRUE(Within(absl::Seconds(5), [&] { return Holder() == "a"; }));
  std::this_thread::sleep_for(absl::ToChronoNanoseconds(3 * kTiming.retry_period));
  over = true;
  asker.join();
}

TEST_F(LeaseElectionTest, TheOnlyCandidateLeads) {
  const auto a = Candidate("a");
  EXPECT_TRUE(Within(absl::Seconds(5), [&] { return a->IsLeader(); }));
  EXPECT_EQ(Holder(), "a");
}

TEST_F(LeaseElectionTest, NeverTwoLeadAtOnce) {
  const auto a = Candidate("a");
  const auto b = Candidate("b");
  ASSERT_TRUE(Within(absl::Seconds(5), [&] { return a->IsLeader() || b->IsLeader(); }));
  EXPECT_FALSE(Within(absl::Seconds(3), [&] { return a->IsLeader() && b->IsLeader(); }));
}

TEST_F(LeaseElectionTest, AnotherLeadsSoonAfterTheLeaseIsGivenBack) {
  auto a = Candidate("a");
  ASSERT_TRUE(Within(absl::Seconds(5), [&] { return a->IsLeader(); }));
  const auto b = Candidate("b");
  a.reset();
  EXPECT_EQ(Holder() == "a", false);
  EXPECT_TRUE(Within(absl::Seconds(1), [&] { return b->IsLeader(); }));
}

TEST_F(LeaseElectionTest, ALeaderThatCannotRenewStopsInTime) {
  const auto a = Candidate("a");
  ASSERT_TRUE(Within(absl::Seconds(5), [&] { return a->IsLeader(); }));
  transport_.FailNext("PUT", 1'000'000, absl::UnavailableError("no route"));
  EXPECT_TRUE(Within(kTiming.renew_deadline + absl::Milliseconds(200), [&] { return !a->IsLeader(); }));
}

TEST_F(LeaseElectionTest, ALeaderWhoseRequestHangsStopsInTime) {
  const auto a = Candidate("a");
  ASSERT_TRUE(Within(absl::Seconds(5), [&] { return a->IsLeader(); }));
  transport_.Hang("PUT");
  EXPECT_TRUE(Within(kTiming.renew_deadline + absl::Milliseconds(200), [&] { return !a->IsLeader(); }));
  transport_.Release();
}

TEST_F(LeaseElectionTest, TheClockOfAnotherHolderIsNotTrusted) {
  transport_.Put(kLeasePath, JsonObject{{"spec", JsonObject{{"holderIdentity", "other"},
                                                            {"leaseDurationSeconds", 1},
                                                            {"renewTime", "2099-01-01T00:00:00.000000Z"}}}});
  const auto a = Candidate("a");
  EXPECT_TRUE(Within(absl::Seconds(5), [&] { return a->IsLeader(); }));
}

TEST_F(LeaseElectionTest, EachTermHasItsOwnGeneration) {
  const auto a = Candidate("a");
  ASSERT_TRUE(Within(absl::Seconds(5), [&] { return a->IsLeader(); }));
  EXPECT_EQ(a->leader_generation(), 1);
  transport_.FailNext("PUT", 15, absl::UnavailableError("no route"));
  ASSERT_TRUE(Within(absl::Seconds(5), [&] { return !a->IsLeader(); }));
  ASSERT_TRUE(Within(absl::Seconds(5), [&] { return a->IsLeader(); }));
  EXPECT_EQ(a->leader_generation(), 2);
}

TEST_F(LeaseElectionTest, ATermThatEndsAndBeginsAnewDuringOneRequestIsToldAsTwo) {
  const auto a = Candidate("a");
  ASSERT_TRUE(Within(absl::Seconds(5), [&] { return begun_ == 1; }));
  transport_.Hang("GET");
  ASSERT_TRUE(Within(absl::Seconds(5), [&] { return !a->IsLeader(); }));
  transport_.Release();
  EXPECT_TRUE(Within(absl::Seconds(5), [&] { return begun_ == 2; }));
  EXPECT_EQ(ended_, 1);
}

}  // namespace
}  // namespace k8s
