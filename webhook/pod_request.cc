#include "webhook/pod_request.h"

#include <absl/status/status.h>
#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "k8s/core/names.h"
#include "k8s/core/service_account_import.h"

namespace webhook {
namespace {

using Annotations = std::map<std::string, std::string>;

constexpr size_t kMaxEcho = 80;  // of a user's value in a message

std::string Value(const Annotations& annotations, const char* key) {
  const auto found = annotations.find(key);
  if (found == annotations.end()) return "";
  return std::string(absl::StripAsciiWhitespace(found->second));
}

std::string Quote(const std::string& text) {
  return text.size() <= kMaxEcho ? absl::StrCat("\"", text, "\"")
                                 : absl::StrCat("\"", text.substr(0, kMaxEcho), "...\"");
}

absl::Status Invalid(const char* key, const std::string& value, std::string_view may_be) {
  return absl::InvalidArgumentError(
      absl::StrCat("annotation ", key, " is ", Quote(value), "; it may be ", std::string(may_be)));
}

// The items of a comma list, trimmed, without empty ones and duplicates.
std::vector<std::string> Items(const std::string& list) {
  std::vector<std::string> items;
  for (absl::string_view item : absl::StrSplit(list, ',')) {
    std::string name(absl::StripAsciiWhitespace(item));
    if (!name.empty() && std::find(items.begin(), items.end(), name) == items.end()) items.push_back(std::move(name));
  }
  return items;
}

absl::StatusOr<Door> ParseDoor(const Annotations& annotations) {
  const std::string door = Value(annotations, k8s::kClientKey);
  if (door.empty() || door == "files") return Door::kFiles;
  if (door == "kubeconfig") return Door::kKubeconfig;
  if (door == "in-cluster") return Door::kInCluster;
  return Invalid(k8s::kClientKey, door, "files, kubeconfig or in-cluster");
}

absl::StatusOr<k8s::JsonObject> ParseResources(const Annotations& annotations) {
  const std::string text = Value(annotations, k8s::kSidecarResourcesKey);
  if (text.empty()) return k8s::JsonObject();
  const absl::StatusOr<k8s::Json> json = k8s::ParseJson(text);
  constexpr char kMayBe[] = R"(the resources of a container as JSON: {"limits": {"memory": "32Mi"}})";
  if (!json.ok() || !json->is_object()) return Invalid(k8s::kSidecarResourcesKey, text, kMayBe);
  for (const auto& [key, value] : json->get_object()) {
    if ((key != "limits" && key != "requests") || !value.is_object()) {
      return Invalid(k8s::kSidecarResourcesKey, text, kMayBe);
    }
  }
  return json->get_object();
}

absl::StatusOr<std::string> ParseLogLevel(const Annotations& annotations) {
  const std::string level = Value(annotations, k8s::kSidecarLogLevelKey);
  if (level.empty()) return std::string("info");
  for (const char* known : {"error", "warn", "info", "debug"}) {
    if (level == known) return level;
  }
  return Invalid(k8s::kSidecarLogLevelKey, level, "error, warn, info or debug");
}

}  // namespace

absl::StatusOr<std::optional<bool>> ParseSidecarWish(const Annotations& annotations) {
  const std::string wish = Value(annotations, k8s::kSidecarKey);
  if (wish.empty()) return std::optional<bool>();
  if (wish == "enabled") return std::optional<bool>(true);
  if (wish == "disabled") return std::optional<bool>(false);
  return Invalid(k8s::kSidecarKey, wish, "enabled or disabled");
}

absl::StatusOr<PodRequest> ParsePodRequest(const Annotations& annotations) {
  PodRequest request;
  request.imports = Items(Value(annotations, k8s::kImportNameKey));
  if (request.imports.empty()) return request;  // whatever else is written there concerns nobody
  for (const std::string& name : request.imports) {
    if (!k8s::IsDnsSubdomain(name)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "annotation ", k8s::kImportNameKey, " lists ", Quote(name),
          ", which is no name of a ServiceAccountImport (a DNS-1123 subdomain); separate names by commas"));
    }
  }
  if (request.imports.size() > kMaxImports) {
    return absl::InvalidArgumentError(absl::StrCat("annotation ", k8s::kImportNameKey, " lists ",
                                                   request.imports.size(), " imports; a pod may have ", kMaxImports));
  }
  const absl::StatusOr<Door> door = ParseDoor(annotations);
  if (!door.ok()) return door.status();
  request.door = *door;
  if (request.door == Door::kInCluster && request.imports.size() > 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "annotation ", k8s::kClientKey, " is \"in-cluster\", which leads to one cluster, but ", k8s::kImportNameKey,
        " lists ", request.imports.size(), " imports; list one, or use kubeconfig or files"));
  }
  request.containers = Items(Value(annotations, k8s::kContainersKey));
  const absl::StatusOr<std::optional<bool>> sidecar = ParseSidecarWish(annotations);
  if (!sidecar.ok()) return sidecar.status();
  request.sidecar = *sidecar;
  absl::StatusOr<k8s::JsonObject> resources = ParseResources(annotations);
  if (!resources.ok()) return resources.status();
  request.sidecar_resources = *std::move(resources);
  absl::StatusOr<std::string> level = ParseLogLevel(annotations);
  if (!level.ok()) return level.status();
  request.sidecar_log_level = *std::move(level);
  return request;
}

}  // namespace webhook
