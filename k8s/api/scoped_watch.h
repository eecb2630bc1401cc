#ifndef K8S_API_SCOPED_WATCH_H_
#define K8S_API_SCOPED_WATCH_H_

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "k8s/api/client.h"
#include "k8s/api/informer.h"
#include "k8s/core/object.h"

namespace k8s {

// The metadata of one kind of object, watched with the rights there are: in the whole cluster, or where that is
// forbidden in each namespace that somebody asks for. Labels and annotations are not kept.
//
// Thread-safe. Borrows `client`. Callbacks run in threads of its watches: hand over and return.
class ScopedWatch {
 public:
  enum class State {
    kStarting,  // no list yet; on_state tells when
    kSynced,
    kForbidden,  // no right to it, cluster-wide or here. Asked again with back-off, so that a new right is noticed.
    kFailing,    // the last list or watch failed; what Get() returns may be old
  };
  using Pointer = std::shared_ptr<const ObjectMeta>;
  using OnChange = std::function<void(const ObjectKey&, const Pointer& before, const Pointer& after)>;
  using OnState = std::function<void(const std::string& namespace_name)>;  // "" = any namespace

  // At most `max_namespaces` single watches; namespaces beyond are kForbidden.
  ScopedWatch(const Client& client, Resource resource, std::string label_selector, size_t max_namespaces,
              OnChange on_change, OnState on_state);
  ~ScopedWatch();

  // Begins to watch the namespace if it has to be watched singly.
  State StateOf(const std::string& namespace_name);

  // Ends the watch of a namespace that is gone, so that it takes no place of another. Blocks for about a second.
  void Forget(const std::string& namespace_name);

  // The object as last seen, or null. Ask StateOf first.
  Pointer Get(const ObjectKey& key) const;

 private:
  struct Scope {
    State state = State::kStarting;
    std::unique_ptr<Informer<ObjectMeta>> informer;
  };

  void Start(const std::string& namespace_name);
  void SetState(const std::string& namespace_name, const absl::Status& status);

  const Client& client_;
  const Resource resource_;
  const std::string label_selector_;
  const size_t max_namespaces_;
  const OnChange on_change_;
  const OnState on_state_;

  mutable std::mutex mu_;
  std::map<std::string, Scope> scopes_;  // guarded by mu_; "" is the whole cluster
};

}  // namespace k8s

#endif  // K8S_API_SCOPED_WATCH_H_
