#include "broker/ca_config_maps.h"

#include <absl/strings/str_cat.h>

#include <set>
#include <utility>

#include "k8s/api/log.h"
#include "k8s/core/names.h"

namespace broker {

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
  for (const std::string& namespace_name : namespaces) {
    const auto held = maps_.store().Get({namespace_name, k8s::kBrokerCaConfigMap});
    if (held != nullptr && *held == bundle) continue;
    const absl::Status status =
        target_
            .Apply(k8s::kConfigMaps,
                   k8s::JsonObject{
                       {"apiVersion", "v1"},
                       {"kind", "ConfigMap"},
                       {"metadata",
                        k8s::JsonObject{{"name", k8s::kBrokerCaConfigMap},
                                        {"namespace", namespace_name},
                                        {"labels", k8s::JsonObject{{k8s::kManagedByLabel, k8s::kManagedByValue}}}}},
                       {"data", k8s::JsonObject{{k8s::kCaKey, bundle}}}},
                   k8s::kFieldManager)
            .status();
    if (status.ok()) {
      were_all = false;
    } else if (!absl::IsPermissionDenied(status) && !absl::IsNotFound(status)) {
      return status;
    } else {
      // Its quota is used up, or it ends; a rotation does not wait for it.
      k8s::Log(k8s::LogLevel::kWarn, "a namespace takes no ConfigMap with our CA; sidecars there cannot connect",
               {{"namespace", namespace_name}, {"error", std::string(status.message())}});
    }
  }
  return were_all;
}

}  // namespace broker
