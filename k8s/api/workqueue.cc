#include "k8s/api/workqueue.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace k8s {
namespace {

// The longest sleep. An instant beyond what the C library can count, it refuses to wait for, and we would spin; nothing
// promises that delays, which are made of other people's numbers, are shorter.
constexpr absl::Duration kMaxSleep = absl::Hours(1);

}  // namespace

void Workqueue::Add(const ObjectKey& key, const std::string& lane) {
  AddAfter(key, lane, absl::ZeroDuration());
}

void Workqueue::AddAfter(const ObjectKey& key, const std::string& lane, absl::Duration delay) {
  {
    std::lock_guard lock(mu_);
    if (shut_down_) return;
    AddLocked(key, lane, clock_.Monotonic() + delay);
  }
  wake_.notify_one();
}

absl::Duration Workqueue::AddWithBackoff(const ObjectKey& key, const std::string& lane, double jitter) {
  absl::Duration delay;
  {
    std::lock_guard lock(mu_);
    // 2^20 times any sensible minimum is above any sensible maximum, and does not overflow.
    const int failures = std::min(failures_[key]++, 20);
    delay = std::min(options_.min_backoff * (1 << failures), options_.max_backoff) * (1 + jitter / 2);
  }
  AddAfter(key, lane, delay);
  return delay;
}

void Workqueue::Forget(const ObjectKey& key) {
  std::lock_guard lock(mu_);
  failures_.erase(key);
}

std::optional<Workqueue::Item> Workqueue::Get() {
  std::unique_lock lock(mu_);
  while (!shut_down_) {
    const absl::Duration now = clock_.Monotonic();
    absl::Duration next_due = absl::InfiniteDuration();
    if (std::optional<Item> item = TakeLocked(now, next_due)) return item;
    if (next_due == absl::InfiniteDuration()) {
      wake_.wait(lock);
    } else {
      wake_.wait_for(lock, absl::ToChronoNanoseconds(std::min(next_due - now, kMaxSleep)));
    }
  }
  return std::nullopt;
}

void Workqueue::Done(const ObjectKey& key) {
  {
    std::lock_guard lock(mu_);
    const auto done = in_work_.find(key);
    if (done == in_work_.end()) return;
    const std::string lane = done->second;
    --lanes_[lane].in_work;
    in_work_.erase(done);
    if (auto again = again_.extract(key)) AddLocked(key, again.mapped().lane, again.mapped().due);
    DropLaneIfIdleLocked(lane);
  }
  // All, because the freed place may be in a lane whose sleeper is not the one that would be woken.
  wake_.notify_all();
}

void Workqueue::ShutDown() {
  {
    std::lock_guard lock(mu_);
    shut_down_ = true;
  }
  wake_.notify_all();
}

size_t Workqueue::depth() const {
  std::lock_guard lock(mu_);
  return waiting_.size() + again_.size();
}

size_t Workqueue::lanes() const {
  std::lock_guard lock(mu_);
  return lanes_.size();
}

void Workqueue::AddLocked(const ObjectKey& key, const std::string& lane, absl::Duration due) {
  if (in_work_.contains(key)) {
    const auto [again, inserted] = again_.try_emplace(key, Waiting{due, lane});
    if (!inserted) again->second = {std::min(again->second.due, due), lane};
    return;
  }
  if (const auto waiting = waiting_.find(key); waiting != waiting_.end()) {
    due = std::min(due, waiting->second.due);
    RemoveLocked(key);
  }
  waiting_[key] = {due, lane};
  lanes_[lane].waiting.emplace(due, key);
}

void Workqueue::RemoveLocked(const ObjectKey& key) {
  const auto waiting = waiting_.find(key);
  if (waiting == waiting_.end()) return;
  const auto [due, lane] = waiting->second;
  lanes_[lane].waiting.erase({due, key});
  waiting_.erase(waiting);
  DropLaneIfIdleLocked(lane);
}

// Lanes are named by users, so one that is over leaves nothing behind.
void Workqueue::DropLaneIfIdleLocked(const std::string& lane) {
  const auto found = lanes_.find(lane);
  if (found != lanes_.end() && found->second.waiting.empty() && found->second.in_work == 0) lanes_.erase(found);
}

std::optional<Workqueue::Item> Workqueue::TakeLocked(absl::Duration now, absl::Duration& next_due) {
  // Round robin: begin behind the lane that was served last.
  auto at = lanes_.upper_bound(last_lane_);
  for (size_t i = 0; i < lanes_.size(); ++i, ++at) {
    if (at == lanes_.end()) at = lanes_.begin();
    auto& [name, lane] = *at;
    if (lane.waiting.empty() || lane.in_work >= options_.lane_limit) continue;
    const auto [due, key] = *lane.waiting.begin();
    if (due > now) {
      next_due = std::min(next_due, due);
      continue;
    }
    Item item{key, name};
    ++lane.in_work;  // before the removal, which drops an idle lane
    RemoveLocked(key);
    in_work_[item.key] = item.lane;
    last_lane_ = item.lane;
    return item;
  }
  return std::nullopt;
}

}  // namespace k8s
