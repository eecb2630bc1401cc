#include "broker/memory_trimmer.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace broker {
namespace {

// A thousand that come and go between two looks would be missed.
constexpr std::chrono::seconds kInterval(1);
// Fewer are not worth a walk through all heaps, which holds up whoever allocates meanwhile.
constexpr size_t kWorthIt = 100;

}  // namespace

MemoryTrimmer::MemoryTrimmer(std::function<size_t()> load) : load_(std::move(load)), thread_([this] { Loop(); }) {}

MemoryTrimmer::~MemoryTrimmer() {
  {
    std::lock_guard lock(mu_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void MemoryTrimmer::Loop() {
  size_t most = 0, previous = 0;  // most: since the last trim
  std::unique_lock lock(mu_);
  while (!wake_.wait_for(lock, kInterval, [this] { return stopping_; })) {
    const size_t now = load_();
    most = std::max(most, now);
    const bool falls = now < std::exchange(previous, now);  // then there is more to come
    if (falls || most < now + kWorthIt) continue;
    malloc_trim(0);
    most = now;
  }
}

}  // namespace broker
