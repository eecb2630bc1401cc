#ifndef K8S_API_INFORMER_STORE_H_
#define K8S_API_INFORMER_STORE_H_

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "k8s/core/object.h"

namespace k8s {

// The objects that a Reflector has seen, shared by all who read them. Thread-safe. Std primitives only, so that
// ThreadSanitizer sees all of it.
template <typename T>
class InformerStore {
 public:
  using Pointer = std::shared_ptr<const T>;
  // What an object can be found by besides its key, such as the names of what it refers to. Called under the store's
  // lock: it only reads the object.
  using Index = std::function<std::vector<std::string>(const T&)>;

  explicit InformerStore(Index index = nullptr) : index_(std::move(index)) {}

  // The object, or null. What it points to never changes and may be kept.
  Pointer Get(const ObjectKey& key) const {
    std::lock_guard lock(mu_);
    const auto found = objects_.find(key);
    return found == objects_.end() ? nullptr : found->second;
  }

  // All of a namespace, or of all namespaces when empty, in the order of their keys.
  std::vector<Pointer> List(const std::string& namespace_name = "") const {
    std::lock_guard lock(mu_);
    std::vector<Pointer> list;
    auto at = namespace_name.empty() ? objects_.begin() : objects_.lower_bound(ObjectKey{namespace_name, ""});
    for (; at != objects_.end(); ++at) {
      if (!namespace_name.empty() && at->first.namespace_name != namespace_name) break;
      list.push_back(at->second);
    }
    return list;
  }

  // Those that the index finds by `value`, in the order of their keys.
  std::vector<ObjectKey> KeysBy(const std::string& value) const {
    std::lock_guard lock(mu_);
    const auto found = indexed_.find(value);
    if (found == indexed_.end()) return {};
    return {found->second.begin(), found->second.end()};
  }

  // Each returns what was there before.
  Pointer Set(const ObjectKey& key, Pointer object) {
    std::lock_guard lock(mu_);
    Pointer& place = objects_[key];
    Unindex(key, place);
    if (index_) {
      for (const std::string& value : index_(*object)) indexed_[value].insert(key);
    }
    std::swap(place, object);
    return object;
  }
  Pointer Erase(const ObjectKey& key) {
    std::lock_guard lock(mu_);
    auto node = objects_.extract(key);
    if (!node) return nullptr;
    Unindex(key, node.mapped());
    return std::move(node.mapped());
  }

  std::vector<ObjectKey> Keys() const {
    std::lock_guard lock(mu_);
    std::vector<ObjectKey> keys;
    for (const auto& [key, object] : objects_) keys.push_back(key);
    return keys;
  }

 private:
  void Unindex(const ObjectKey& key, const Pointer& object) {
    if (!index_ || object == nullptr) return;
    for (const std::string& value : index_(*object)) {
      const auto entry = indexed_.find(value);
      if (entry == indexed_.end()) continue;  // the function may name a value twice
      entry->second.erase(key);
      if (entry->second.empty()) indexed_.erase(entry);
    }
  }

  const Index index_;
  mutable std::mutex mu_;
  std::map<ObjectKey, Pointer> objects_;                // guarded by mu_
  std::map<std::string, std::set<ObjectKey>> indexed_;  // guarded by mu_
};

}  // namespace k8s

#endif  // K8S_API_INFORMER_STORE_H_
