#include "k8s/api/scoped_watch.h"

#include <utility>

namespace k8s {

ScopedWatch::ScopedWatch(const Client& client, Resource resource, std::string label_selector, size_t max_namespaces,
                         OnChange on_change, OnState on_state)
    : client_(client),
      resource_(std::move(resource)),
      label_selector_(std::move(label_selector)),
      max_namespaces_(max_namespaces),
      on_change_(std::move(on_change)),
      on_state_(std::move(on_state)) {
  std::lock_guard lock(mu_);
  Start("");
}

ScopedWatch::~ScopedWatch() {
  // Outside the lock: a watch that ends may be waiting for it in SetState.
  std::map<std::string, Scope> scopes;
  {
    std::lock_guard lock(mu_);
    for (auto& [name, scope] : scopes_) scopes[name].informer = std::move(scope.informer);
  }
}

ScopedWatch::State ScopedWatch::StateOf(const std::string& namespace_name) {
  std::lock_guard lock(mu_);
  const State whole = scopes_[""].state;
  if (whole != State::kForbidden || namespace_name.empty()) return whole;
  if (const auto scope = scopes_.find(namespace_name); scope != scopes_.end()) return scope->second.state;
  if (scopes_.size() > max_namespaces_) return State::kForbidden;
  Start(namespace_name);
  return State::kStarting;
}

void ScopedWatch::Forget(const std::string& namespace_name) {
  std::map<std::string, Scope>::node_type gone;  // ends outside the lock, as in the destructor
  std::lock_guard lock(mu_);
  if (!namespace_name.empty()) gone = scopes_.extract(namespace_name);
}

ScopedWatch::Pointer ScopedWatch::Get(const ObjectKey& key) const {
  std::lock_guard lock(mu_);
  for (const std::string& name : {std::string(), key.namespace_name}) {
    const auto scope = scopes_.find(name);
    // What was seen before the right was lost is never brought up to date, nor do its objects ever go.
    if (scope == scopes_.end() || scope->second.state == State::kForbidden) continue;
    if (Pointer found = scope->second.informer->store().Get(key)) return found;
  }
  return nullptr;
}

void ScopedWatch::Start(const std::string& namespace_name) {
  scopes_[namespace_name].informer = std::make_unique<Informer<ObjectMeta>>(
      client_, resource_, namespace_name, ListOptions{.label_selector = label_selector_, .metadata_only = true},
      [](const Json& object) -> absl::StatusOr<ObjectMeta> {
        ObjectMeta meta = ParseObjectMeta(object);
        meta.labels.clear();
        meta.annotations.clear();
        return meta;
      },
      on_change_, InformerHooks{.on_state = [this, namespace_name](const absl::Status& status) {
        SetState(namespace_name, status);
      }});
}

void ScopedWatch::SetState(const std::string& namespace_name, const absl::Status& status) {
  const State state = status.ok()                        ? State::kSynced
                      : absl::IsPermissionDenied(status) ? State::kForbidden
                                                         : State::kFailing;
  {
    std::lock_guard lock(mu_);
    const auto found = scopes_.find(namespace_name);
    if (found == scopes_.end()) return;  // forgotten meanwhile
    Scope& scope = found->second;
    // A watch that breaks after its list still shows what it saw; one that never listed shows nothing.
    if (state == scope.state || (state == State::kFailing && scope.state == State::kStarting)) return;
    scope.state = state;
  }
  on_state_(namespace_name);
}

}  // namespace k8s
