#include "k8s/api/workqueue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace k8s {
namespace {

// A clock that only the test moves.
class HandClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::UnixEpoch() + Monotonic(); }
  absl::Duration Monotonic() const override { return absl::Milliseconds(milliseconds_.load()); }
  void Advance(absl::Duration by) { milliseconds_ += absl::ToInt64Milliseconds(by); }

 private:
  std::atomic<int64_t> milliseconds_ = 0;
};

ObjectKey Key(const std::string& name) {
  return {"ns", name};
}

TEST(WorkqueueTest, AKeyAddedTwiceComesOnce) {
  Workqueue queue(SystemClock());
  queue.Add(Key("a"), "lane");
  queue.Add(Key("a"), "lane");
  EXPECT_EQ(queue.Get()->key, Key("a"));
  EXPECT_EQ(queue.depth(), 0);
}

TEST(WorkqueueTest, AKeyAddedWhileInWorkComesAgainAfterwards) {
  Workqueue queue(SystemClock());
  queue.Add(Key("a"), "lane");
  queue.Get();
  queue.Add(Key("a"), "lane");
  queue.Add(Key("b"), "lane");
  EXPECT_EQ(queue.Get()->key, Key("b"));
  queue.Done(Key("a"));
  EXPECT_EQ(queue.Get()->key, Key("a"));
}

TEST(WorkqueueTest, AFullLaneDoesNotHoldUpAnother) {
  Workqueue queue(SystemClock(), {.lane_limit = 1});
  queue.Add(Key("a1"), "a");
  queue.Add(Key("a2"), "a");
  queue.Get();
  queue.Add(Key("b1"), "b");
  EXPECT_EQ(queue.Get()->key, Key("b1"));
  queue.Done(Key("a1"));
  EXPECT_EQ(queue.Get()->key, Key("a2"));
}

TEST(WorkqueueTest, LanesTakeTurns) {
  Workqueue queue(SystemClock());
  for (const char* name : {"a1", "a2", "a3"}) queue.Add(Key(name), "a");
  queue.Add(Key("b1"), "b");
  queue.Get();
  EXPECT_EQ(queue.Get()->key, Key("b1"));
}

TEST(WorkqueueTest, TheEarlierTimeOfAWaitingKeyCounts) {
  HandClock clock;
  Workqueue queue(clock);
  queue.AddAfter(Key("a"), "lane", absl::Seconds(1));
  queue.AddAfter(Key("a"), "lane", absl::Hours(1));
  clock.Advance(absl::Seconds(1));
  EXPECT_EQ(queue.Get()->key, Key("a"));
}

TEST(WorkqueueTest, AKeyMovesToItsNewLane) {
  Workqueue queue(SystemClock());
  queue.Add(Key("a"), "old");
  queue.Add(Key("a"), "new");
  EXPECT_EQ(queue.Get()->lane, "new");
}

TEST(WorkqueueTest, AnInstantBeyondCountingHoldsUpNobody) {
  Workqueue queue(SystemClock());
  queue.AddAfter(Key("never"), "lane", absl::Seconds(9e18));
  std::thread waiter([&] { EXPECT_EQ(queue.Get()->key, Key("a")); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // so that it waits for the other key alone
  queue.Add(Key("a"), "lane");
  waiter.join();
}

TEST(WorkqueueTest, ALaneThatIsOverLeavesNothingBehind) {
  Workqueue queue(SystemClock());
  queue.Add(Key("a"), "lane");
  queue.AddAfter(Key("b"), "other", absl::Hours(1));
  EXPECT_EQ(queue.lanes(), 2);
  queue.Get();
  EXPECT_EQ(queue.lanes(), 2);
  queue.Done(Key("a"));
  EXPECT_EQ(queue.lanes(), 1);
}

TEST(WorkqueueTest, BackOffDoublesUntilForgotten) {
  Workqueue queue(SystemClock(), {.min_backoff = absl::Milliseconds(250), .max_backoff = absl::Seconds(1)});
  EXPECT_EQ(queue.AddWithBackoff(Key("a"), "lane", 0), absl::Milliseconds(250));
  EXPECT_EQ(queue.AddWithBackoff(Key("a"), "lane", 0), absl::Milliseconds(500));
  EXPECT_EQ(queue.AddWithBackoff(Key("a"), "lane", 0), absl::Seconds(1));
  EXPECT_EQ(queue.AddWithBackoff(Key("a"), "lane", 1), absl::Milliseconds(1500));
  queue.Forget(Key("a"));
  EXPECT_EQ(queue.AddWithBackoff(Key("a"), "lane", 0), absl::Milliseconds(250));
}

TEST(WorkqueueTest, ShutDownWakesAllWaiters) {
  Workqueue queue(SystemClock());
  std::vector<std::thread> waiters;
  for (int i = 0; i < 4; ++i) waiters.emplace_back([&] { EXPECT_EQ(queue.Get(), std::nullopt); });
  queue.ShutDown();
  for (std::thread& waiter : waiters) waiter.join();
}

TEST(WorkqueueTest, ManyThreadsNeverShareAKey) {
  constexpr int kKeys = 20, kAdds = 5000;
  const absl::Duration backoff = absl::Milliseconds(1);
  Workqueue queue(SystemClock(), {.lane_limit = 3, .min_backoff = backoff, .max_backoff = backoff});
  std::atomic<int> failures = 100;
  std::vector<std::atomic<int>> in_work(kKeys);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      while (const auto item = queue.Get()) {
        const int key = std::stoi(item->key.name);
        EXPECT_EQ(in_work[key]++, 0);
        --in_work[key];
        if (failures-- > 0) {
          queue.AddWithBackoff(item->key, item->lane, 0);
        } else {
          queue.Forget(item->key);
        }
        queue.Done(item->key);
      }
    });
  }
  for (int i = 0; i < kAdds; ++i) queue.Add(Key(std::to_string(i % kKeys)), std::to_string(i % 4));
  while (queue.depth() > 0) std::this_thread::yield();
  queue.ShutDown();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace k8s
