#include "k8s/api/worker_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <set>
#include <string>

namespace k8s {
namespace {

// Work that blocks until it is let go, and tells what has begun.
class Gate {
 public:
  void Pass(const std::string& lane) {
    std::unique_lock lock(mu_);
    begun_.insert(lane);
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  void Open() {
    std::lock_guard lock(mu_);
    open_ = true;
    changed_.notify_all();
  }
  bool WaitForBegun(const std::string& lane, size_t count) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return begun_.count(lane) >= count; });
  }
  size_t begun(const std::string& lane) {
    std::lock_guard lock(mu_);
    return begun_.count(lane);
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  std::multiset<std::string> begun_;  // guarded by mu_
  bool open_ = false;                 // guarded by mu_
};

TEST(WorkerPoolTest, ManyBlockedLanesLeaveThreadsForTheNext) {
  constexpr int kLanes = 10, kLimit = 2;
  Workqueue queue(SystemClock(), {.lane_limit = kLimit});
  Gate gate;
  WorkerPool pool(queue, kLimit, [&](const Workqueue::Item& item) { gate.Pass(item.lane); });
  for (int lane = 0; lane < kLanes; ++lane) {
    const std::string name = std::to_string(lane);
    for (int key = 0; key < 5; ++key) queue.Add({name, std::to_string(key)}, name);
    EXPECT_TRUE(gate.WaitForBegun(name, kLimit)) << name;
    EXPECT_EQ(gate.begun(name), size_t{kLimit});
  }
  EXPECT_LE(pool.size(), size_t{(kLanes + 1) * kLimit});
  gate.Open();
}

TEST(WorkerPoolTest, WaitsForTheWorkAtHandWhenItGoes) {
  Workqueue queue(SystemClock());
  Gate gate;
  bool finished = false;
  {
    WorkerPool pool(queue, 8, [&](const Workqueue::Item& item) {
      gate.Pass(item.lane);
      finished = true;
    });
    queue.Add({"ns", "a"}, "lane");
    ASSERT_TRUE(gate.WaitForBegun("lane", 1));
    gate.Open();
  }
  EXPECT_TRUE(finished);
}

}  // namespace
}  // namespace k8s
