#include "webhook/pod_patch.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <utility>

#include "k8s/core/names.h"

namespace webhook {
namespace {

using k8s::Json;
using k8s::JsonArray;
using k8s::JsonObject;

// The ServiceAccount admission plugin names its volume so (plugin/pkg/admission/serviceaccount).
constexpr char kPluginVolumePrefix[] = "kube-api-access-";

// Whether the two are equal but for what the API server has filled into `actual`.
bool IsSame(const Json& actual, const Json& wanted) {
  if (actual.is_object() && wanted.is_object()) {
    const JsonObject& fields = actual.get_object();
    const size_t defaults = fields.contains("defaultMode") && !wanted.get_object().contains("defaultMode") ? 1 : 0;
    if (fields.size() != wanted.get_object().size() + defaults) return false;
    return std::all_of(wanted.get_object().begin(), wanted.get_object().end(), [&](const auto& field) {
      const Json* value = fields.if_contains(field.key());
      return value != nullptr && IsSame(*value, field.value());
    });
  }
  if (actual.is_array() && wanted.is_array()) {
    return std::equal(actual.get_array().begin(), actual.get_array().end(), wanted.get_array().begin(),
                      wanted.get_array().end(), &IsSame);
  }
  return actual == wanted;
}

bool HasSameField(const Json& actual, const JsonObject& wanted, std::string_view key) {
  const Json* a = k8s::Find(actual, {key});
  const Json* b = wanted.if_contains(key);
  return (a == nullptr) == (b == nullptr) && (a == nullptr || *a == *b);
}

std::string NormalPath(const std::string& path) {
  std::string normal = std::filesystem::path("/" + path).lexically_normal().string();
  if (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  // Two leading slashes are a root of their own to POSIX, and one to a container.
  if (absl::StartsWith(normal, "//")) normal.erase(0, 1);
  return normal;
}

const Json* ListAt(const Json& json, std::string_view key) {
  const Json* list = k8s::Find(json, {key});
  return list != nullptr && list->is_array() ? list : nullptr;
}

std::string PointerToken(const std::string& key) {
  return absl::StrReplaceAll(key, {{"~", "~0"}, {"/", "~1"}});
}

}  // namespace

PodPatch::PodPatch(const Json& pod) : pod_(pod) {
  for (const auto& [list, init] : {std::pair("containers", false), std::pair("initContainers", true)}) {
    size_t index = 0;
    for (const Json& json : k8s::ArrayAt(pod, {"spec", list})) {
      containers_.push_back({.name = k8s::StringAt(json, {"name"}),
                             .path = absl::StrCat("/spec/", list, "/", index++),
                             .json = &json,
                             .init = init});
    }
  }
}

absl::Status PodPatch::EnsureVolume(JsonObject volume) {
  const Json& name = volume.at("name");
  for (const Json& existing : k8s::ArrayAt(pod_, {"spec", "volumes"})) {
    const Json* existing_name = k8s::Find(existing, {"name"});
    if (existing_name == nullptr || *existing_name != name) continue;
    if (IsSame(existing, volume)) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("the pod has a volume of its own named ",
                                                   std::string(name.get_string()),
                                                   ", a name that is kept for imports; rename it"));
  }
  const Json* spec = k8s::Find(pod_, {"spec"});
  Append("/spec/volumes", spec == nullptr ? nullptr : ListAt(*spec, "volumes"), std::move(volume));
  return absl::OkStatus();
}

absl::Status PodPatch::EnsureMount(const Container& container, JsonObject mount) {
  const std::string path = NormalPath(std::string(mount.at("mountPath").get_string()));
  for (const Json& existing : k8s::ArrayAt(*container.json, {"volumeMounts"})) {
    const std::string existing_path = NormalPath(k8s::StringAt(existing, {"mountPath"}));
    if (existing_path == path && IsSame(existing, mount)) return absl::OkStatus();
    if (existing_path == path || absl::StartsWith(existing_path, path + "/") ||
        existing_path == k8s::kImportsDirectory) {
      return absl::InvalidArgumentError(absl::StrCat("container ", container.name, " mounts volume ",
                                                     k8s::StringAt(existing, {"name"}), " at ", existing_path,
                                                     ", where the import's files belong; mount it elsewhere"));
    }
  }
  Append(container.path + "/volumeMounts", ListAt(*container.json, "volumeMounts"), std::move(mount));
  return absl::OkStatus();
}

absl::Status PodPatch::EnsureVariable(const Container& container, const std::string& name, const std::string& value,
                                      const std::string& annotation) {
  const Json wanted = JsonObject{{"name", name}, {"value", value}};
  for (const Json& existing : k8s::ArrayAt(*container.json, {"env"})) {
    if (k8s::StringAt(existing, {"name"}) != name) continue;
    if (existing == wanted) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("container ", container.name, " sets ", name,
                                                   " itself; remove it there, or leave annotation ", annotation,
                                                   " away"));
  }
  Append(container.path + "/env", ListAt(*container.json, "env"), wanted);
  return absl::OkStatus();
}

absl::Status PodPatch::ReplaceTokenMount(const Container& container, JsonObject mount) {
  const std::string path = NormalPath(std::string(mount.at("mountPath").get_string()));
  size_t index = 0;
  for (const Json& existing : k8s::ArrayAt(*container.json, {"volumeMounts"})) {
    if (NormalPath(k8s::StringAt(existing, {"mountPath"})) == path && !IsSame(existing, mount) &&
        absl::StartsWith(k8s::StringAt(existing, {"name"}), kPluginVolumePrefix)) {
      AddOperation("replace", absl::StrCat(container.path, "/volumeMounts/", index), std::move(mount));
      return absl::OkStatus();
    }
    ++index;
  }
  return EnsureMount(container, std::move(mount));
}

void PodPatch::ReplaceVariable(const Container& container, const std::string& name, const std::string& value) {
  const Json wanted = JsonObject{{"name", name}, {"value", value}};
  size_t index = 0;
  bool found = false;
  for (const Json& existing : k8s::ArrayAt(*container.json, {"env"})) {
    if (k8s::StringAt(existing, {"name"}) == name) {
      found = true;
      if (existing != wanted) AddOperation("replace", absl::StrCat(container.path, "/env/", index), wanted);
    }
    ++index;
  }
  if (!found) Append(container.path + "/env", ListAt(*container.json, "env"), wanted);
}

absl::Status PodPatch::EnsureFirstInitContainer(JsonObject container) {
  const std::string name(container.at("name").get_string());
  for (const Container& existing : containers_) {
    if (existing.name != name) continue;
    // Others may have changed what is theirs to change: a registry's name in the image, a quantity's spelling.
    if (existing.init && HasSameField(*existing.json, container, "args") &&
        HasSameField(*existing.json, container, "restartPolicy")) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(absl::StrCat("the pod has a container of its own named ", name,
                                                   ", a name that is kept for the sidecar; rename it"));
  }
  const Json* existing = k8s::Find(pod_, {"spec", "initContainers"});
  if (existing != nullptr && existing->is_array()) {
    last_operations_.push_back(
        JsonObject{{"op", "add"}, {"path", "/spec/initContainers/0"}, {"value", std::move(container)}});
  } else {
    Append("/spec/initContainers", nullptr, std::move(container));
  }
  return absl::OkStatus();
}

void PodPatch::EnsureLabel(const std::string& name, const std::string& value) {
  const Json* labels = k8s::Find(pod_, {"metadata", "labels"});
  if (labels == nullptr || !labels->is_object()) {
    AddOperation("add", "/metadata/labels", JsonObject{{name, value}});
  } else if (k8s::StringAt(*labels, {name}) != value) {
    AddOperation("add", absl::StrCat("/metadata/labels/", PointerToken(name)), Json(value));
  }
}

JsonArray PodPatch::Build() && {
  for (auto& [path, list] : new_lists_) AddOperation("add", path, std::move(list));
  for (Json& operation : last_operations_) operations_.push_back(std::move(operation));
  return std::move(operations_);
}

void PodPatch::Append(const std::string& path, const Json* list, Json value) {
  if (list == nullptr) {
    new_lists_[path].push_back(std::move(value));
  } else {
    AddOperation("add", path + "/-", std::move(value));
  }
}

void PodPatch::AddOperation(const char* op, const std::string& path, Json value) {
  operations_.push_back(JsonObject{{"op", op}, {"path", path}, {"value", std::move(value)}});
}

}  // namespace webhook
