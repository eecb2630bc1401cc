#ifndef K8S_API_EVENT_RECORDER_H_
#define K8S_API_EVENT_RECORDER_H_

#include <absl/time/time.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "k8s/api/client.h"
#include "k8s/api/clock.h"
#include "k8s/core/token_bucket.h"

namespace k8s {

struct ObjectReference {
  std::string api_version;
  std::string kind;
  ObjectKey key;
  std::string uid;
};

struct EventText {
  bool warning = false;
  std::string reason;  // CamelCase
  std::string action;  // what was tried: "Reconcile"
  std::string note;    // a sentence; cut at 1 KiB, as the API wants it
};

// Writes events.k8s.io/v1 Events in a thread of its own, so that telling never delays doing. The same text on the same
// object within 10 minutes is written once. At most 1,000 wait, and of those that are no warnings a hundred are taken
// at once and then 5 a second; more are dropped and counted. Thread-safe.
class EventRecorder {
 public:
  EventRecorder(const Client& client, const Clock& clock, std::string controller, std::string instance);
  ~EventRecorder();  // writes what waits, for at most a second

  void Record(const ObjectReference& regarding, const EventText& text);
  int64_t dropped() const;

 private:
  void Loop();

  const Client& client_;
  const Clock& clock_;
  const std::string controller_;
  const std::string instance_;
  mutable std::mutex mu_;
  std::condition_variable wake_;
  std::deque<Json> waiting_;                            // guarded by mu_
  std::map<std::string, absl::Duration> last_written_;  // guarded by mu_: uid, reason and note to when
  int64_t dropped_ = 0;                                 // guarded by mu_
  TokenBucket normal_;                                  // guarded by mu_: normal events that may be told
  int64_t sequence_ = 0;                                // guarded by mu_
  bool stopping_ = false;                               // guarded by mu_
  std::thread thread_;
};

}  // namespace k8s

#endif  // K8S_API_EVENT_RECORDER_H_
