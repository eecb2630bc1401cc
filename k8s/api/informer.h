#ifndef K8S_API_INFORMER_H_
#define K8S_API_INFORMER_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "k8s/api/informer_store.h"
#include "k8s/api/reflector.h"
#include "k8s/core/object.h"

namespace k8s {

// What an Informer says of trouble; where a function is empty, it logs.
struct InformerHooks {
  std::function<void(const absl::Status&)> on_state;                  // as Reflector::Callbacks has it
  std::function<void(const ObjectKey&, const absl::Status&)> on_bad;  // an object that cannot be parsed

  InformerHooks OrLog(const std::string& plural) &&;
};

// A Reflector, a store, and who wants to hear of changes. An object that cannot be parsed is reported and stays as it
// was; it never stops the others.
template <typename T>
class Informer {
 public:
  using Pointer = std::shared_ptr<const T>;
  using Parse = std::function<absl::StatusOr<T>(const Json&)>;
  // `before` is null for a new object, `after` for a deleted one. Runs in the reflector's thread: hand over and return.
  using OnChange = std::function<void(const ObjectKey&, const Pointer& before, const Pointer& after)>;

  Informer(const Client& client, Resource resource, std::string namespace_name, ListOptions options, Parse parse,
           OnChange on_change, InformerHooks hooks = {}, typename InformerStore<T>::Index index = nullptr)
      : parse_(std::move(parse)),
        on_change_(std::move(on_change)),
        hooks_(std::move(hooks).OrLog(resource.plural)),
        store_(std::move(index)),
        reflector_(client, std::move(resource), std::move(namespace_name), std::move(options),
                   {.on_event =
                        [this](WatchEventType type, const Json& object) {
                          if (type == WatchEventType::kDeleted) {
                            Erase(KeyOf(object));
                          } else {
                            Set(object);
                          }
                        },
                    .on_listed = [this](const std::set<ObjectKey>& listed) { EraseOthers(listed); },
                    .on_state = hooks_.on_state}) {}

  const InformerStore<T>& store() const { return store_; }
  bool WaitForSync(absl::Duration timeout) { return reflector_.WaitForSync(timeout); }

 private:
  void EraseOthers(const std::set<ObjectKey>& listed) {
    for (const ObjectKey& key : store_.Keys()) {
      if (!listed.contains(key)) Erase(key);
    }
  }

  void Set(const Json& object) {
    const ObjectKey key = KeyOf(object);
    absl::StatusOr<T> parsed = parse_(object);
    if (!parsed.ok()) {
      hooks_.on_bad(key, parsed.status());
      return;
    }
    const Pointer after = std::make_shared<const T>(*std::move(parsed));
    const Pointer before = store_.Set(key, after);
    on_change_(key, before, after);
  }

  void Erase(const ObjectKey& key) {
    if (const Pointer before = store_.Erase(key)) on_change_(key, before, nullptr);
  }

  const Parse parse_;
  const OnChange on_change_;
  const InformerHooks hooks_;
  InformerStore<T> store_;
  Reflector reflector_;  // last: its thread uses all of the above
};

}  // namespace k8s

#endif  // K8S_API_INFORMER_H_
