#include "broker/call_queue.h"

namespace broker {

CallQueue::CallQueue(const Limits& limits) : limits_(limits) {
  for (size_t i = 0; i < limits_.threads; ++i) threads_.emplace_back([this] { Loop(); });
}

CallQueue::~CallQueue() {
  {
    std::lock_guard lock(mu_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool CallQueue::Submit(const std::string& peer, std::function<void()> work) {
  {
    std::lock_guard lock(mu_);
    if (stopping_ || waiting_.size() >= limits_.waiting) return false;
    size_t& of_peer = of_peer_[peer];
    if (of_peer >= limits_.of_one_peer) return false;
    ++of_peer;
    waiting_.push_back({peer, std::move(work)});
  }
  wake_.notify_one();
  return true;
}

void CallQueue::Loop() {
  std::unique_lock lock(mu_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    Item item = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    item.work();
    item.work = nullptr;
    lock.lock();
    if (--of_peer_[item.peer] == 0) of_peer_.erase(item.peer);
  }
}

}  // namespace broker
