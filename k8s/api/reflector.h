#ifndef K8S_API_REFLECTOR_H_
#define K8S_API_REFLECTOR_H_

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "k8s/api/client.h"
#include "k8s/core/json.h"
#include "k8s/core/object.h"

namespace k8s {

// Follows the objects of one kind, in one namespace or all, in a thread of its own: lists them, watches from there,
// goes on from the last bookmark after each interruption, and lists again when the server has forgotten that far back
// (410) or refuses to go on. It asks for the list as watch events (sendInitialEvents) first and falls back on a paged
// list where the server refuses or ignores that.
//
// Borrows `client`. Callbacks run in its thread, one at a time.
class Reflector {
 public:
  struct Callbacks {
    // Never kBookmark. Objects of a list come as kAdded, each as soon as it is read: a list may be larger than memory.
    std::function<void(WatchEventType, Json)> on_event;
    // A list is complete: objects not in it are gone.
    std::function<void(const std::set<ObjectKey>&)> on_listed;
    // OK after each list, and when a watch that had failed brings something again (a bookmark at the latest, so within
    // about a minute) or comes to its end; else why the last list or watch failed. Tried again with back-off, up to
    // `max_backoff`. A connection that is cut under a watch is the watch's end.
    std::function<void(const absl::Status&)> on_state;
  };

  Reflector(const Client& client, Resource resource, std::string namespace_name, ListOptions options,
            Callbacks callbacks, absl::Duration max_backoff = absl::Seconds(30));
  ~Reflector();  // returns within about a second, also out of a silent watch

  Reflector(const Reflector&) = delete;
  Reflector& operator=(const Reflector&) = delete;

  // Whether a list has succeeded by then.
  bool WaitForSync(absl::Duration timeout);

 private:
  void Loop();
  absl::Status ListAndWatch();
  absl::Status ListByWatch();
  absl::Status ListByPages();
  absl::Status WatchOn();
  void Follow(WatchEvent event);
  void Synced(const std::set<ObjectKey>& listed, std::string resource_version);
  bool Sleep(absl::Duration delay);  // false once stopping

  const Client& client_;
  const Resource resource_;
  const std::string namespace_name_;
  const ListOptions options_;
  const Callbacks callbacks_;
  const absl::Duration max_backoff_;

  std::string resource_version_;  // where to go on; "" to list. Only the thread uses it.
  bool list_by_watch_ = true;     // as above
  bool failing_ = false;          // as above: what on_state was told last
  bool progressed_ = false;       // as above: whether the latest attempt brought anything
  std::atomic<bool> stopping_ = false;
  std::mutex mu_;
  std::condition_variable wake_;
  bool synced_ = false;  // guarded by mu_
  std::thread thread_;   // last: starts when all the rest is there
};

}  // namespace k8s

#endif  // K8S_API_REFLECTOR_H_
