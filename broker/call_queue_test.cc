#include "broker/call_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>

namespace broker {
namespace {

TEST(CallQueueTest, DoesAllThatItTook) {
  std::atomic<int> done = 0;
  {
    CallQueue queue({.threads = 4, .waiting = 1000, .of_one_peer = 1000});
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(queue.Submit("peer", [&] { ++done; }));
  }
  EXPECT_EQ(done, 1000);
}

TEST(CallQueueTest, OnePeerTakesOnlyItsShare) {
  std::latch release(1);
  CallQueue queue({.threads = 1, .waiting = 100, .of_one_peer = 2});
  const auto wait = [&] { release.wait(); };
  EXPECT_TRUE(queue.Submit("greedy", wait));
  EXPECT_TRUE(queue.Submit("greedy", wait));
  EXPECT_FALSE(queue.Submit("greedy", wait));
  EXPECT_TRUE(queue.Submit("other", wait));
  release.count_down();
}

TEST(CallQueueTest, WhatIsDoneMakesRoomForItsPeer) {
  CallQueue queue({.threads = 1, .waiting = 10, .of_one_peer = 1});
  std::latch done(1);
  ASSERT_TRUE(queue.Submit("peer", [&] { done.count_down(); }));
  done.wait();
  while (!queue.Submit("peer", [] {})) std::this_thread::yield();
}

TEST(CallQueueTest, WhatWaitsIsBounded) {
  std::latch begun(1);
  std::latch release(1);
  CallQueue queue({.threads = 1, .waiting = 2, .of_one_peer = 100});
  ASSERT_TRUE(queue.Submit("a", [&] {
    begun.count_down();
    release.wait();
  }));
  begun.wait();
  EXPECT_TRUE(queue.Submit("b", [] {}));
  EXPECT_TRUE(queue.Submit("c", [] {}));
  EXPECT_FALSE(queue.Submit("d", [] {}));
  release.count_down();
}

}  // namespace
}  // namespace broker
