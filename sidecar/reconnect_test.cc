#include "sidecar/reconnect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

namespace sidecar {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Lt;
using ::testing::UnorderedElementsAre;

TEST(ReconnectDelayTest, AStreamThatWorkedIsOpenedAgainWithinHalfASecond) {
  std::mt19937_64 rng(/*seed=*/7);
  for (int i = 0; i < 1000; ++i)
    EXPECT_THAT(ReconnectDelay(0, rng), AllOf(Ge(absl::ZeroDuration()), Lt(absl::Milliseconds(500))));
}

TEST(ReconnectDelayTest, DoublesUpToFifteenSecondsAndHalfOfItIsRandom) {
  std::mt19937_64 rng(/*seed=*/7);
  const std::pair<int, absl::Duration> kCases[] = {{1, absl::Seconds(1)},
                                                   {2, absl::Seconds(2)},
                                                   {4, absl::Seconds(8)},
                                                   {5, absl::Seconds(15)},
                                                   {1'000'000, absl::Seconds(15)}};
  for (const auto& [failures, whole] : kCases) {
    for (int i = 0; i < 1000; ++i) EXPECT_THAT(ReconnectDelay(failures, rng), AllOf(Ge(whole / 2), Lt(whole)));
  }
}

TEST(OrderAddressesTest, TheOneThatServedLastComesLast) {
  std::mt19937_64 rng(/*seed=*/7);
  for (int i = 0; i < 100; ++i) {
    const auto ordered = OrderAddresses({"a", "b", "c"}, "b", rng);
    EXPECT_THAT(ordered, UnorderedElementsAre("a", "b", "c"));
    EXPECT_EQ(ordered.back(), "b");
  }
}

TEST(OrderAddressesTest, EachComesFirstAtTimes) {
  std::mt19937_64 rng(/*seed=*/7);
  std::set<std::string> first;
  for (int i = 0; i < 100; ++i) first.insert(OrderAddresses({"a", "b", "c"}, "", rng).front());
  EXPECT_EQ(first.size(), 3u);
}

TEST(OrderAddressesTest, TheOnlyOneIsTriedAgain) {
  std::mt19937_64 rng(/*seed=*/7);
  EXPECT_EQ(OrderAddresses({"a"}, "a", rng).front(), "a");
}

}  // namespace
}  // namespace sidecar
