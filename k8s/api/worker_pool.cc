#include "k8s/api/worker_pool.h"

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

namespace k8s {

WorkerPool::WorkerPool(Workqueue& queue, size_t lane_limit, std::function<void(const Workqueue::Item&)> work)
    : queue_(queue), lane_limit_(lane_limit), work_(std::move(work)) {
  std::lock_guard lock(mu_);
  GrowLocked(lane_limit_);
}

WorkerPool::~WorkerPool() {
  std::vector<std::thread> threads;
  {
    std::lock_guard lock(mu_);
    stopping_ = true;
    threads.swap(threads_);
  }
  queue_.ShutDown();
  for (std::thread& thread : threads) thread.join();
}

size_t WorkerPool::size() const {
  std::lock_guard lock(mu_);
  return threads_.size();
}

void WorkerPool::Loop() {
  while (const std::optional<Workqueue::Item> item = queue_.Get()) {
    {
      // Before the work, which may block. One lane more than there are leaves a thread free to see the next new lane:
      // were all of them blocked in the lanes there are, nobody would.
      std::lock_guard lock(mu_);
      GrowLocked((queue_.lanes() + 1) * lane_limit_);
    }
    work_(*item);
    queue_.Done(item->key);
  }
}

void WorkerPool::GrowLocked(size_t wanted) {
  if (stopping_) return;
  wanted = std::min(wanted, kMaxWorkers);
  while (threads_.size() < wanted) {
    try {
      threads_.emplace_back([this] { Loop(); });
    } catch (const std::system_error&) {
      // A limit on processes; whoever works already goes on.
      if (threads_.empty()) throw;
      return;
    }
  }
}

}  // namespace k8s
