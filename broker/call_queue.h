#ifndef BROKER_CALL_QUEUE_H_
#define BROKER_CALL_QUEUE_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace broker {

// Threads for work that blocks, so that gRPC's own never do: asking the API server who calls. What waits is bounded, in
// all and for each peer, because a caller is unknown until that work is done.
//
// Thread-safe. Std primitives only.
class CallQueue {
 public:
  struct Limits {
    size_t threads = 16;       // as many TokenReviews at once as one API server does well
    size_t waiting = 8192;     // of all peers: all sidecars come at once when another replica stops
    size_t of_one_peer = 256;  // waiting or in work
  };

  explicit CallQueue(const Limits& limits);
  ~CallQueue();  // once all that waits is done

  CallQueue(const CallQueue&) = delete;
  CallQueue& operator=(const CallQueue&) = delete;

  // False: there is no room, and `work` will not be done.
  bool Submit(const std::string& peer, std::function<void()> work);

 private:
  struct Item {
    std::string peer;
    std::function<void()> work;
  };

  void Loop();

  const Limits limits_;
  std::mutex mu_;
  std::condition_variable wake_;
  std::deque<Item> waiting_;               // guarded by mu_
  std::map<std::string, size_t> of_peer_;  // guarded by mu_
  bool stopping_ = false;                  // guarded by mu_
  std::vector<std::thread> threads_;
};

}  // namespace broker

#endif  // BROKER_CALL_QUEUE_H_
