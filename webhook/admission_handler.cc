#include "webhook/admission_handler.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <utility>

#include "k8s/api/log.h"
#include "k8s/core/names.h"
#include "webhook/inject_pod.h"

namespace webhook {
namespace {

// For all live GETs of one pod together. The API server gives us 10 s in all.
constexpr absl::Duration kLiveBudget = absl::Seconds(3);
// Of one pod, each import in each container. No pod has so many; the patch and its text take several KiB for each.
constexpr size_t kMaxMounts = 500;
// Of a refusal's sentence in the audit log, where each refused try of a controller leaves one.
constexpr size_t kMaxAuditBytes = 512;

const char* DoorName(Door door) {
  switch (door) {
    case Door::kFiles:
      return "files";
    case Door::kKubeconfig:
      return "kubeconfig";
    case Door::kInCluster:
      return "in-cluster";
  }
  return "";
}

const char* ResultOf(const AdmissionResponse& response) {
  switch (response.status.code()) {
    case absl::StatusCode::kOk:
      return response.patch.empty() ? "unchanged" : "allowed";
    case absl::StatusCode::kInvalidArgument:
      return "invalid";
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kNotFound:
      return "not_ready";
    default:
      return "error";
  }
}

absl::Status CheckMounts(const k8s::Json& pod, size_t imports) {
  const size_t containers =
      k8s::ArrayAt(pod, {"spec", "containers"}).size() + k8s::ArrayAt(pod, {"spec", "initContainers"}).size();
  if (containers * imports <= kMaxMounts) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the pod has ", containers, " containers and asks for ", imports,
                                                 " imports; at most ", kMaxMounts,
                                                 " mounts, one for each import in each container, are possible"));
}

std::string PodName(const k8s::Json& pod) {
  const std::string name = k8s::StringAt(pod, {"metadata", "name"});
  return name.empty() ? k8s::StringAt(pod, {"metadata", "generateName"}) + "*" : name;
}

}  // namespace

absl::StatusOr<std::string> AdmissionHandler::Review(std::string_view body) const {
  const absl::Duration start = deps_.clock.Monotonic();
  const absl::StatusOr<AdmissionRequest> request = ParseAdmissionReview(body);
  if (!request.ok()) {
    deps_.metrics.CountMalformed();
    return request.status();
  }
  AdmissionResponse response = request->creates_pod ? Decide(*request) : AdmissionResponse();
  const char* result = ResultOf(response);
  response.audit["result"] = result;
  if (!response.status.ok()) {
    response.audit["message"] = k8s::CutUtf8(std::string(response.status.message()), kMaxAuditBytes);
  }
  k8s::Log(response.status.ok() ? k8s::LogLevel::kDebug : k8s::LogLevel::kInfo,
           response.status.ok() ? "admitted a pod" : "refused a pod",
           {{"pod", absl::StrCat(request->namespace_name, "/", PodName(request->object))},
            {"result", result},
            {"dryRun", request->dry_run ? "true" : "false"},
            {"reason", std::string(response.status.message())}});
  deps_.metrics.CountAdmission(result, deps_.clock.Monotonic() - start);
  return BuildAdmissionReview(request->uid, std::move(response));
}

AdmissionResponse AdmissionHandler::Decide(const AdmissionRequest& review) const {
  absl::StatusOr<PodRequest> request = ParsePodRequest(k8s::StringMapAt(review.object, {"metadata", "annotations"}));
  if (!request.ok()) return {.status = request.status()};
  if (request->imports.empty()) return {};
  if (const absl::Status status = CheckMounts(review.object, request->imports.size()); !status.ok()) {
    return {.status = status};
  }
  AdmissionResponse response{
      .audit = {{"imports", absl::StrJoin(request->imports, ",")}, {"client", DoorName(request->door)}}};
  const absl::Duration end = deps_.clock.Monotonic() + kLiveBudget;
  const absl::StatusOr<bool> sidecar = WantsSidecar(*request, review.namespace_name, end);
  const absl::StatusOr<std::vector<Import>> imports =
      sidecar.ok() ? (request->sidecar = *sidecar, FindImports(*request, review.namespace_name, end))
                   : sidecar.status();
  absl::StatusOr<Injection> injection =
      imports.ok() ? InjectPod(review.object, *request, *imports, deps_.sidecar_image) : imports.status();
  if (!injection.ok()) {
    response.status = injection.status();
    return response;
  }
  response.audit["sidecar"] = request->sidecar.value_or(false) ? "enabled" : "disabled";
  response.patch = std::move(injection->patch);
  response.warnings = std::move(injection->warnings);
  return response;
}

absl::StatusOr<bool> AdmissionHandler::WantsSidecar(const PodRequest& request, const std::string& namespace_name,
                                                    absl::Duration end) const {
  if (request.sidecar) return *request.sidecar;
  // A namespace that is not in the cache yet is so new that its first pod may miss the default: so ask.
  auto meta = deps_.namespaces.Get({"", namespace_name});
  if (meta == nullptr) {
    const absl::StatusOr<k8s::Json> live =
        deps_.target.Get(k8s::kNamespaces, {"", namespace_name}, /*metadata_only=*/true, end - deps_.clock.Monotonic());
    if (!live.ok()) {
      return absl::UnavailableError(
          absl::StrCat("namespace ", namespace_name, " cannot be read: ", std::string(live.status().message())));
    }
    meta = std::make_shared<const k8s::ObjectMeta>(k8s::ParseObjectMeta(*live));
  }
  const absl::StatusOr<std::optional<bool>> wish = ParseSidecarWish(meta->annotations);
  if (!wish.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("namespace ", namespace_name, ": ", std::string(wish.status().message())));
  }
  return wish->value_or(false);
}

absl::StatusOr<std::vector<Import>> AdmissionHandler::FindImports(const PodRequest& request,
                                                                  const std::string& namespace_name,
                                                                  absl::Duration end) const {
  std::vector<Import> imports;
  std::vector<std::string> missing;
  for (const std::string& name : request.imports) {
    const k8s::ObjectKey key{namespace_name, name};
    const auto cached = deps_.imports.Get(key);
    if (cached != nullptr && (cached->not_ready.empty() || request.sidecar.value_or(false))) {
      imports.push_back(*cached);
      continue;
    }
    // Made or ready a moment ago, maybe in the same apply as the pod: a ReplicaSet that is refused now waits for up to
    // 16 minutes.
    const absl::Duration left = end - deps_.clock.Monotonic();
    if (left <= absl::ZeroDuration()) {
      return absl::UnavailableError("the API server answers too slowly; try again");
    }
    const absl::StatusOr<k8s::Json> live = deps_.target.Get(k8s::kImports, key, /*metadata_only=*/false, left);
    deps_.metrics.CountLiveGet(live.ok() ? "found" : absl::IsNotFound(live.status()) ? "missing" : "error");
    if (absl::IsNotFound(live.status())) {
      missing.push_back(name);
      continue;
    }
    const absl::StatusOr<Import> import = live.ok() ? ParseImport(*live) : live.status();
    if (!import.ok()) {
      return absl::UnavailableError(
          absl::StrCat("import ", name, " cannot be read: ", std::string(import.status().message())));
    }
    imports.push_back(*import);
  }
  if (missing.empty()) return imports;
  return absl::NotFoundError(absl::StrCat("there is no ServiceAccountImport ", absl::StrJoin(missing, ", "),
                                          " in namespace ", namespace_name, "; create it, or correct annotation ",
                                          k8s::kImportNameKey));
}

}  // namespace webhook
