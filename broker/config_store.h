#ifndef BROKER_CONFIG_STORE_H_
#define BROKER_CONFIG_STORE_H_

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "broker/config_snapshot.h"
#include "k8s/core/object.h"

namespace broker {

// The latest snapshot of each import that somebody wants, and who wants it. What nobody wants is not kept: tokens are
// in memory only while they are of use.
//
// Thread-safe; std primitives only, so that ThreadSanitizer sees all of it.
class ConfigStore {
 public:
  using Pointer = std::shared_ptr<const ConfigSnapshot>;

  class Subscriber {
   public:
    virtual ~Subscriber() = default;
    // A snapshot of an import that this one subscribed to is there, or is another. Runs without locks, in the thread of
    // whoever told the store, maybe in several at once.
    virtual void OnChange() = 0;
  };

  // Called without locks.
  struct Hooks {
    std::function<void(const k8s::ObjectKey&)> on_wanted;    // nobody had it before: fill it in
    std::function<void(const k8s::ObjectKey&)> on_unwanted;  // its last subscriber left: drop it in a while
  };
  explicit ConfigStore(Hooks hooks) : hooks_(std::move(hooks)) {}

  // `keys` holds none twice.
  void Subscribe(const std::shared_ptr<Subscriber>& subscriber, const std::vector<k8s::ObjectKey>& keys);
  void Unsubscribe(const std::shared_ptr<Subscriber>& subscriber, const std::vector<k8s::ObjectKey>& keys);

  // The snapshot, or null while it is not filled in.
  Pointer Get(const k8s::ObjectKey& key) const;

  // Whether it is kept: wanted, or not yet dropped.
  bool IsKept(const k8s::ObjectKey& key) const;

  // Replaces the snapshot if the import is kept; with `tell`, tells its subscribers.
  void Set(const k8s::ObjectKey& key, Pointer snapshot, bool tell);

  // Forgets the import if nobody wants it; returns whether it is forgotten.
  bool DropUnwanted(const k8s::ObjectKey& key);

  size_t size() const;

 private:
  struct Entry {
    Pointer snapshot;
    std::set<std::shared_ptr<Subscriber>> subscribers;
  };

  const Hooks hooks_;
  mutable std::mutex mu_;
  std::map<k8s::ObjectKey, Entry> entries_;  // guarded by mu_
};

}  // namespace broker

#endif  // BROKER_CONFIG_STORE_H_
