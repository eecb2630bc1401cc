#include "broker/config_store.h"

#include <utility>

namespace broker {

void ConfigStore::Subscribe(const std::shared_ptr<Subscriber>& subscriber, const std::vector<k8s::ObjectKey>& keys) {
  std::vector<k8s::ObjectKey> wanted;
  {
    std::lock_guard lock(mu_);
    for (const k8s::ObjectKey& key : keys) {
      const auto [entry, is_new] = entries_.try_emplace(key);
      entry->second.subscribers.insert(subscriber);
      if (is_new) wanted.push_back(key);
    }
  }
  for (const k8s::ObjectKey& key : wanted) hooks_.on_wanted(key);
}

void ConfigStore::Unsubscribe(const std::shared_ptr<Subscriber>& subscriber, const std::vector<k8s::ObjectKey>& keys) {
  std::vector<k8s::ObjectKey> unwanted;
  {
    std::lock_guard lock(mu_);
    for (const k8s::ObjectKey& key : keys) {
      const auto entry = entries_.find(key);
      if (entry == entries_.end() || entry->second.subscribers.erase(subscriber) == 0) continue;
      if (entry->second.subscribers.empty()) unwanted.push_back(key);
    }
  }
  for (const k8s::ObjectKey& key : unwanted) hooks_.on_unwanted(key);
}

ConfigStore::Pointer ConfigStore::Get(const k8s::ObjectKey& key) const {
  std::lock_guard lock(mu_);
  const auto entry = entries_.find(key);
  return entry == entries_.end() ? nullptr : entry->second.snapshot;
}

bool ConfigStore::IsKept(const k8s::ObjectKey& key) const {
  std::lock_guard lock(mu_);
  return entries_.contains(key);
}

void ConfigStore::Set(const k8s::ObjectKey& key, Pointer snapshot, bool tell) {
  std::vector<std::shared_ptr<Subscriber>> subscribers;
  {
    std::lock_guard lock(mu_);
    const auto entry = entries_.find(key);
    if (entry == entries_.end()) return;
    std::swap(entry->second.snapshot, snapshot);  // the old one ends outside the lock
    if (tell) subscribers.assign(entry->second.subscribers.begin(), entry->second.subscribers.end());
  }
  for (const auto& subscriber : subscribers) subscriber->OnChange();
}

bool ConfigStore::DropUnwanted(const k8s::ObjectKey& key) {
  std::map<k8s::ObjectKey, Entry>::node_type dropped;
  std::lock_guard lock(mu_);
  const auto entry = entries_.find(key);
  if (entry == entries_.end()) return true;
  if (!entry->second.subscribers.empty()) return false;
  dropped = entries_.extract(entry);
  return true;
}

size_t ConfigStore::size() const {
  std::lock_guard lock(mu_);
  return entries_.size();
}

}  // namespace broker
