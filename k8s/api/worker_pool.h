#ifndef K8S_API_WORKER_POOL_H_
#define K8S_API_WORKER_POOL_H_

#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "k8s/api/workqueue.h"

namespace k8s {

// Threads that work on what a Workqueue hands out. There are as many as all lanes seen so far can keep busy, so that
// lanes full of keys that block leave threads for the others; never more than kMaxWorkers, beyond which lanes do share.
//
// Std primitives only. Borrows `queue`. `work` runs in several threads at once, for different keys; it must not throw.
// It adds the key again itself if it wants to: Done() comes after it.
class WorkerPool {
 public:
  static constexpr size_t kMaxWorkers = 256;

  // `lane_limit` is that of the queue.
  WorkerPool(Workqueue& queue, size_t lane_limit, std::function<void(const Workqueue::Item&)> work);
  ~WorkerPool();  // shuts the queue down and waits for the work at hand

  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  size_t size() const;

 private:
  void Loop();
  void GrowLocked(size_t wanted);

  Workqueue& queue_;
  const size_t lane_limit_;
  const std::function<void(const Workqueue::Item&)> work_;
  mutable std::mutex mu_;
  bool stopping_ = false;             // guarded by mu_
  std::vector<std::thread> threads_;  // guarded by mu_
};

}  // namespace k8s

#endif  // K8S_API_WORKER_POOL_H_
