#include "k8s/core/ca_rotation.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace k8s {
namespace {

using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::SizeIs;

const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);
const CaTiming kTiming{.propagation = absl::Minutes(10)};

// The keeper of the CAs, with certificates that are only named: obeys the plan as its contract says.
struct Keeper {
  CaState stored;
  std::string bundle;
  int made = 0;

  CaPlan Step(absl::Time now, const std::string& request = "") {
    CaPlan plan = PlanCaRotation(stored, request, bundle == BundleOf(stored), kTiming, now);
    if (plan.make != CaPlan::Make::kNothing) {
      const std::string name = absl::StrCat("<CA ", ++made, ">");
      AddCa(plan, {.certificate = name, .key = SecretString(name), .not_after = now + kTiming.ca_lifetime}, now);
    }
    bundle = BundleOf(plan.state);
    stored = plan.state;
    return plan;
  }
};

TEST(CaRotationTest, TheFirstCaSignsAtOnce) {
  Keeper keeper;
  keeper.Step(kStart);
  ASSERT_TRUE(keeper.stored.signing);
  EXPECT_EQ(keeper.stored.signing->certificate, "<CA 1>");
  EXPECT_EQ(keeper.bundle, "<CA 1>");
  EXPECT_EQ(keeper.Step(kStart).check_at, kStart + kTiming.ca_lifetime / 2);
}

TEST(CaRotationTest, ASuccessorIsTrustedForTheWholePropagationBeforeItSigns) {
  Keeper keeper;
  keeper.Step(kStart);
  const absl::Time half = kStart + kTiming.ca_lifetime / 2;
  keeper.Step(half);
  EXPECT_EQ(keeper.bundle, "<CA 2><CA 1>");
  keeper.Step(half + kTiming.propagation - absl::Seconds(1));
  EXPECT_EQ(keeper.stored.signing->certificate, "<CA 1>");
  keeper.Step(half + kTiming.propagation);
  EXPECT_EQ(keeper.stored.signing->certificate, "<CA 2>");
  EXPECT_EQ(keeper.bundle, "<CA 2><CA 1>");
}

TEST(CaRotationTest, ASuccessorWaitsAnewWhenTheBundleWasTakenAway) {
  Keeper keeper;
  keeper.Step(kStart);
  const absl::Time half = kStart + kTiming.ca_lifetime / 2;
  keeper.Step(half);
  keeper.bundle = "";
  keeper.Step(half + kTiming.propagation);
  EXPECT_EQ(keeper.stored.signing->certificate, "<CA 1>");
  EXPECT_EQ(keeper.bundle, "<CA 2><CA 1>");
  keeper.Step(half + 2 * kTiming.propagation);
  EXPECT_EQ(keeper.stored.signing->certificate, "<CA 2>");
}

TEST(CaRotationTest, AnOldCaLosesItsKeyAtOnceAndItsTrustAfterItsLastLeaf) {
  Keeper keeper;
  keeper.Step(kStart);
  keeper.Step(kStart, "now");
  const absl::Time switched = kStart + kTiming.propagation;
  keeper.Step(switched, "now");
  ASSERT_THAT(keeper.stored.previous, SizeIs(1));
  EXPECT_TRUE(keeper.stored.previous[0].key.empty());
  const absl::Time end = switched + kTiming.leaf_lifetime + kTiming.propagation;
  EXPECT_EQ(keeper.Step(end - absl::Seconds(1), "now").check_at, end);
  EXPECT_EQ(keeper.bundle, "<CA 2><CA 1>");
  keeper.Step(end, "now");
  EXPECT_EQ(keeper.bundle, "<CA 2>");
}

TEST(CaRotationTest, ARequestIsObeyedOnce) {
  Keeper keeper;
  keeper.Step(kStart);
  for (int minute = 0; minute < 60; ++minute) keeper.Step(kStart + absl::Minutes(minute), "monday");
  EXPECT_EQ(keeper.made, 2);
}

TEST(CaRotationTest, AnEndedCaIsReplacedAtOnce) {
  Keeper keeper;
  keeper.Step(kStart);
  keeper.Step(kStart + kTiming.ca_lifetime);
  EXPECT_EQ(keeper.bundle, "<CA 2>");
}

TEST(CaRotationTest, ManyRequestsKeepTheBundleBounded) {
  Keeper keeper;
  absl::Time now = kStart;
  size_t most = 0;
  for (int request = 0; request < 200; ++request) {
    const int made = keeper.made;
    while (keeper.made == made) {
      const absl::Time next = keeper.Step(now, absl::StrCat(request)).check_at;
      if (keeper.made == made) now = next;
    }
    most = std::max(most, keeper.stored.previous.size() + 2);
  }
  EXPECT_EQ(keeper.made, 200);
  EXPECT_THAT(most, Le(kTiming.max_trusted));
}

// A server that signs its own leaf. It learns of a change after up to `propagation`, or much later when it is cut off.
struct Signer {
  std::string ca;
  absl::Time leaf_end = absl::InfinitePast();
  absl::Time next_look = absl::InfinitePast();

  void Look(const CaState& state, absl::Time now) {
    const bool half = now >= leaf_end - kTiming.leaf_lifetime / 2;
    if (state.signing->certificate == ca && !half) return;
    ca = state.signing->certificate;
    leaf_end = std::min(now + kTiming.leaf_lifetime, state.signing->not_after);
  }
};

// Half a year in which the keeper is away for up to ten days, signers are cut off until their leaf has ended, the
// bundle is wiped, and verifiers look at it as late as they may.
TEST(CaRotationTest, EveryVerifierTrustsEveryLeafAtEveryInstant) {
  constexpr absl::Duration kStep = absl::Minutes(5);
  for (int seed = 0; seed < 10; ++seed) {
    std::mt19937_64 rng(seed);
    const auto up_to = [&](absl::Duration most) { return kStep * static_cast<int64_t>(rng() % (most / kStep + 1)); };
    Keeper keeper;
    keeper.Step(kStart);
    std::vector<Signer> signers(3);
    std::deque<std::string> bundles(2, keeper.bundle);  // of the last ten minutes: what verifiers may still hold
    absl::Time keeper_back = kStart;
    std::string request;
    for (absl::Time now = kStart; now < kStart + absl::Hours(24 * 180); now += kStep) {
      if (now >= keeper_back) {
        if (rng() % 4'000 == 0) request = absl::StrCat(rng());
        keeper.Step(now, request);
        if (rng() % 1'000 == 0) keeper_back = now + up_to(absl::Hours(240));
      }
      bundles.push_front(keeper.bundle);
      for (Signer& signer : signers) {
        if (now >= signer.next_look) {
          signer.Look(keeper.stored, now);
          // Cut off until the end of its leaf at most: then it could serve nobody anyway.
          signer.next_look = now + up_to(rng() % 400 == 0 ? signer.leaf_end - now - kStep : kTiming.propagation);
        }
        ASSERT_THAT(signer.leaf_end, Gt(now)) << "seed " << seed;
        for (const std::string& bundle : bundles) {
          ASSERT_NE(bundle.find(signer.ca), std::string::npos) << "seed " << seed << " at " << absl::FormatTime(now);
        }
      }
      bundles.pop_back();
    }
    EXPECT_THAT(keeper.made, Gt(10));
  }
}

Json SecretOf(const CaState& state) {
  JsonObject data;
  for (const auto& [key, value] : BuildCaSecretData(state)) data[key] = absl::Base64Escape(std::string(value.Reveal()));
  return Json{{"data", std::move(data)}};
}

TEST(CaRotationTest, TheStateSurvivesItsSecret) {
  Keeper keeper;
  keeper.Step(kStart);
  keeper.Step(kStart + absl::Seconds(1), "once");
  keeper.Step(kStart + absl::Hours(1), "once");
  keeper.Step(kStart + absl::Hours(1), "twice");
  const absl::StatusOr<CaState> read = ParseCaSecret(SecretOf(keeper.stored));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, keeper.stored);
  EXPECT_TRUE(read->next);
  EXPECT_THAT(read->previous, SizeIs(1));
}

TEST(CaRotationTest, AnEmptyAndThePredecessorsSecretAreAnEmptyState) {
  EXPECT_EQ(*ParseCaSecret(Json{{"metadata", JsonObject{}}}), CaState());
  EXPECT_EQ(*ParseCaSecret(Json{{"data", {{"ca-cert.pem", "QUJD"}, {"ca-key.pem", "QUJD"}}}}), CaState());
}

TEST(CaRotationTest, ASpoiltSecretIsAnErrorWithoutItsContent) {
  Json secret = SecretOf(CaState{.signing = Ca{.certificate = "c", .key = SecretString("canary")}});
  secret.at("data").as_object()["rotation.json"] = absl::Base64Escape("{canary");
  const absl::StatusOr<CaState> read = ParseCaSecret(secret);
  ASSERT_FALSE(read.ok());
  EXPECT_THAT(std::string(read.status().message()), HasSubstr("delete it"));
  EXPECT_THAT(std::string(read.status().message()), testing::Not(HasSubstr("canary")));
}

}  // namespace
}  // namespace k8s
