#ifndef K8S_API_WORKQUEUE_H_
#define K8S_API_WORKQUEUE_H_

#include <absl/time/time.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "k8s/api/clock.h"
#include "k8s/core/object.h"

namespace k8s {

struct WorkqueueOptions {
  int lane_limit = 8;  // keys of one lane that are worked on at once
  absl::Duration min_backoff = absl::Milliseconds(250);
  absl::Duration max_backoff = absl::Minutes(1);
};

// Keys that want work, as client-go's rate-limiting queue: a key is worked on by one worker at a time; added again
// meanwhile, it comes once more afterwards; added twice, it comes once.
//
// New here are lanes (for us: one for each source cluster). A lane has at most `lane_limit` keys in work and lanes take
// turns, so that a lane whose keys all block never delays another.
//
// Threads: any. Borrows `clock`. Std primitives only, so that ThreadSanitizer sees all of it.
class Workqueue {
 public:
  struct Item {
    ObjectKey key;
    std::string lane;
  };

  explicit Workqueue(const Clock& clock, WorkqueueOptions options = {}) : clock_(clock), options_(options) {}

  void Add(const ObjectKey& key, const std::string& lane);

  // Due after `delay`; a key that is already due earlier keeps its earlier time.
  void AddAfter(const ObjectKey& key, const std::string& lane, absl::Duration delay);

  // Due after a delay that doubles with each call since the last Forget(), and is stretched by up to a half by
  // `jitter`, in [0, 1). Returns the delay.
  absl::Duration AddWithBackoff(const ObjectKey& key, const std::string& lane, double jitter);

  // The key's work succeeded: its next back-off starts from the bottom.
  void Forget(const ObjectKey& key);

  // Blocks until a key is due and its lane has room; nullopt once ShutDown() was called. Each item must be given back
  // through Done().
  std::optional<Item> Get();
  void Done(const ObjectKey& key);

  void ShutDown();

  // Makes sleepers look at the clock again: for clocks that are set by hand.
  void Poke() { wake_.notify_all(); }

  size_t depth() const;  // keys that wait, due or not
  size_t lanes() const;  // with keys that wait or are in work

 private:
  struct Waiting {
    absl::Duration due;  // on the monotonic clock
    std::string lane;
  };
  struct Lane {
    std::set<std::pair<absl::Duration, ObjectKey>> waiting;
    int in_work = 0;
  };

  void AddLocked(const ObjectKey& key, const std::string& lane, absl::Duration due);
  void RemoveLocked(const ObjectKey& key);
  void DropLaneIfIdleLocked(const std::string& lane);
  std::optional<Item> TakeLocked(absl::Duration now, absl::Duration& next_due);

  const Clock& clock_;
  const WorkqueueOptions options_;

  mutable std::mutex mu_;
  std::condition_variable wake_;
  std::map<std::string, Lane> lanes_;
  std::string last_lane_;  // served last: the next one in order comes first
  std::map<ObjectKey, Waiting> waiting_;
  std::map<ObjectKey, std::string> in_work_;  // key to its lane
  std::map<ObjectKey, Waiting> again_;        // added while in work
  std::map<ObjectKey, int> failures_;
  bool shut_down_ = false;
};

}  // namespace k8s

#endif  // K8S_API_WORKQUEUE_H_
