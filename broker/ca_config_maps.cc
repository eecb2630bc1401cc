#include "broker/ca_config_maps.h"

#include <absl/strings/str_cat.h>

#include <set>
#include <utility>

#include "k8s/api/log.h"
#include "k8s/core/names.h"

namespace broker {
namespace {

// Whether a write was refused for what somebody did in the namespace: used up its quota, deletes it, made the ConfigMap
// immutable, has a policy against it. A rotation does not wait for that, and no other namespace does.
bool MayBeOfTheNamespaceAlone(const absl::Status& status) {
  return absl::IsPermissionDenied(status) || absl::IsNotFound(status) || absl::IsInvalidArgument(status) ||
         absl::IsFailedPrecondition(status) || absl::IsUnimplemented(status);
}

}  // namespace

CaConfigMaps::CaConfigMaps(const k8s::Client& target, const k8s::InformerStore<k8s::ServiceAccountImport>& imports,
                           std::function<void()> on_change)
    : target_(target),
      imports_(imports),
      maps_(
          target, k8s::kConfigMaps, "", {.field_selector = absl::StrCat("metadata.name=", k8s::kBrokerCaConfigMap)},
          [](const k8s::Json& object) -> absl::StatusOr<std::string> {
            return k8s::StringAt(object, {"data", k8s::kCaKey});
          },
          [on_change](const auto&, const auto&, const auto&) { on_change(); }) {}

absl::StatusOr<bool> CaConfigMaps::Publish(const std::string& bundle) {
  std::set<std::string> namespaces;
  for (const k8s::ObjectKey& key : imports_.Keys()) namespaces.insert(key.namespace_name);
  bool were_all = true;
  absl::Status unanswered;
  for (const std::string& namespace_name : namespaces) {
    const auto held = maps_.store().Get({namespace_name, k8s::kBrokerCaConfigMap});
    if (held != nullptr && *held == bundle) continue;
    const absl::Status status = Write(namespace_name, bundle);
    if (status.ok()) {
      were_all = false;
    } else if (MayBeOfTheNamespaceAlone(status)) {
      k8s::Log(k8s::LogLevel::kWarn, "a namespace takes no ConfigMap with our CA; sidecars there cannot connect",
               {{"namespace", namespace_name}, {"error", std::string(status.message())}});
    } else {
      unanswered.Update(status);  // the others get theirs nevertheless
    }
  }
  if (!unanswered.ok()) return unanswered;
  // A copy that somebody changed is mended, and holds up no rotation: its namespace's pods alone saw it.
  const bool were_all_once = std::exchange(published_, bundle) == bundle;
  return were_all || were_all_once;
}

absl::Status CaConfigMaps::Write(const std::string& namespace_name, const std::string& bundle) {
  return target_
      .Apply(
          k8s::kConfigMaps,
          k8s::JsonObject{
              {"apiVersion", "v1"},
              {"kind", "ConfigMap"},
              {"metadata", k8s::JsonObject{{"name", k8s::kBrokerCaConfigMap},
                                           {"namespace", namespace_name},
                                           {"labels", k8s::JsonObject{{k8s::kManagedByLabel, k8s::kManagedByValue}}}}},
              {"data", k8s::JsonObject{{k8s::kCaKey, bundle}}}},
          k8s::kFieldManager)
      .status();
}

}  // namespace broker
