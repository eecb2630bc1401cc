#ifndef BROKER_MEMORY_TRIMMER_H_
#define BROKER_MEMORY_TRIMMER_H_

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>

namespace broker {

// Gives memory back to the system after many have left: glibc keeps what is freed below the top of its heaps, and a
// stream's 110 KB lie scattered there. In a thread of its own, which looks each second.
class MemoryTrimmer {
 public:
  // `load`: how many there are; thread-safe.
  explicit MemoryTrimmer(std::function<size_t()> load);
  ~MemoryTrimmer();

  MemoryTrimmer(const MemoryTrimmer&) = delete;
  MemoryTrimmer& operator=(const MemoryTrimmer&) = delete;

 private:
  void Loop();

  const std::function<size_t()> load_;
  std::mutex mu_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mu_
  std::thread thread_;
};

}  // namespace broker

#endif  // BROKER_MEMORY_TRIMMER_H_
