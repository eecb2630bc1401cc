#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "k8s/api/clock.h"
#include "k8s/api/workqueue.h"

// Under --config=tsan: a race beside the queue is found, so that the other tests' silence means something.
namespace k8s {
namespace {

#ifdef __SANITIZE_THREAD__
constexpr bool kTsan = true;
#else
constexpr bool kTsan = false;
#endif

// Two workers count what they take without a lock. The queue gives them no order: each takes a key of its own.
void CountWithoutALock() {
  Workqueue queue(SystemClock());
  int taken = 0;
  const auto work = [&] {
    while (const auto item = queue.Get()) {
      ++taken;
      queue.Done(item->key);
    }
  };
  std::thread one(work), other(work);
  for (int i = 0; i < 1000; ++i) queue.Add({"ns", std::to_string(i)}, "lane");
  while (queue.depth() > 0) std::this_thread::yield();
  queue.ShutDown();
  one.join();
  other.join();
  std::exit(0);
}

TEST(PlantedRaceTest, IsFound) {
  if (!kTsan) GTEST_SKIP() << "needs --config=tsan";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(CountWithoutALock(), testing::ExitedWithCode(66), "data race");
}

}  // namespace
}  // namespace k8s
