#include "webhook/sidecar.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "k8s/core/build_secret.h"
#include "k8s/core/names.h"

namespace webhook {
namespace {

using k8s::JsonArray;
using k8s::JsonObject;

constexpr char kFilesVolume[] = "mcsa";
constexpr char kBrokerVolume[] = "mcsa-broker";
constexpr char kProgram[] = "/mcsa-sidecar";
// Two thirds of it are the plugin's copy; an import takes about 10 KiB, twice while it is swapped.
constexpr char kFilesLimit[] = "16Mi";
constexpr int64_t kImageUser = 65532;
constexpr int64_t kBrokerTokenSeconds = 600;  // the shortest that the API grants

JsonObject DefaultResources() {
  return {{"requests", JsonObject{{"cpu", "1m"}, {"memory", "16Mi"}}}, {"limits", JsonObject{{"memory", "48Mi"}}}};
}

JsonArray BuildArguments(const PodRequest& request) {
  JsonArray arguments{"run"};
  for (const std::string& import : request.imports) arguments.push_back(k8s::Json(absl::StrCat("--import=", import)));
  arguments.push_back(k8s::Json(absl::StrCat("--log-level=", request.sidecar_log_level)));
  return arguments;
}

JsonObject BuildSecurityContext(const k8s::Json& pod) {
  JsonObject context{{"allowPrivilegeEscalation", false},
                     {"readOnlyRootFilesystem", true},
                     {"runAsNonRoot", true},
                     {"capabilities", JsonObject{{"drop", JsonArray{"ALL"}}}},
                     {"seccompProfile", JsonObject{{"type", "RuntimeDefault"}}}};
  // Otherwise the pod's user or the image's: some clusters allow only users of a range of their own.
  const k8s::Json* user = k8s::Find(pod, {"spec", "securityContext", "runAsUser"});
  if (user != nullptr && *user == 0) context["runAsUser"] = kImageUser;
  return context;
}

JsonObject BuildContainer(const k8s::Json& pod, const PodRequest& request, absl::Span<const Import> imports,
                          const std::string& image) {
  JsonArray mounts{
      JsonObject{{"name", kFilesVolume}, {"mountPath", k8s::kSidecarDirectory}},
      // Also keeps the ServiceAccount plugin from mounting the pod's own API token here.
      JsonObject{{"name", kBrokerVolume}, {"mountPath", kTokenDirectory}, {"readOnly", true}},
  };
  for (const Import& import : imports) {
    mounts.push_back(JsonObject{{"name", VolumeName(import.name)},
                                {"mountPath", absl::StrCat(k8s::kImportsDirectory, "/", import.name)},
                                {"readOnly", true}});
  }
  return {
      {"name", k8s::kSidecarContainer},
      {"image", image},
      {"args", BuildArguments(request)},
      {"restartPolicy", "Always"},
      // Holds back what comes after it until the files are there, without a probe's grid of a second.
      {"lifecycle",
       JsonObject{{"postStart", JsonObject{{"exec", JsonObject{{"command", JsonArray{kProgram, "wait"}}}}}}}},
      {"livenessProbe", JsonObject{{"exec", JsonObject{{"command", JsonArray{kProgram, "check"}}}},
                                   {"periodSeconds", 30},
                                   {"timeoutSeconds", 10}}},  // a busy node takes its time to start a process
      {"resources", request.sidecar_resources.empty() ? DefaultResources() : request.sidecar_resources},
      {"securityContext", BuildSecurityContext(pod)},
      {"volumeMounts", std::move(mounts)},
  };
}

JsonObject BuildBrokerVolume() {
  return {
      {"name", kBrokerVolume},
      {"projected",
       JsonObject{{"sources",
                   JsonArray{JsonObject{{"serviceAccountToken", JsonObject{{"audience", k8s::kBrokerAudience},
                                                                           {"expirationSeconds", kBrokerTokenSeconds},
                                                                           {"path", k8s::kTokenKey}}}},
                             JsonObject{{"configMap",
                                         JsonObject{{"name", k8s::kBrokerCaConfigMap},
                                                    {"optional", true},
                                                    {"items", JsonArray{JsonObject{{"key", k8s::kCaKey},
                                                                                   {"path", k8s::kCaKey}}}}}}}}}}}};
}

}  // namespace

absl::Status AddSidecar(PodPatch& patch, const k8s::Json& pod, const PodRequest& request,
                        absl::Span<const Import> imports, const std::string& image) {
  if (image.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the sidecar is asked for, but the webhook runs without --sidecar-image; set it there, or annotation ",
        k8s::kSidecarKey, " to disabled"));
  }
  absl::Status status = patch.EnsureVolume(
      {{"name", kFilesVolume}, {"emptyDir", JsonObject{{"medium", "Memory"}, {"sizeLimit", kFilesLimit}}}});
  if (status.ok()) status = patch.EnsureVolume(BuildBrokerVolume());
  for (const Import& import : imports) {
    if (!status.ok()) return status;
    // Optional: the start gate waits for it, and not the kubelet with its back-off of up to two minutes.
    status = patch.EnsureVolume(
        {{"name", VolumeName(import.name)},
         {"secret", JsonObject{{"secretName", k8s::SecretName(import.name, import.uid)}, {"optional", true}}}});
  }
  if (!status.ok()) return status;
  return patch.EnsureFirstInitContainer(BuildContainer(pod, request, imports, image));
}

absl::Status NoSidecar(const PodPatch& patch) {
  for (const PodPatch::Container& container : patch.containers()) {
    if (container.name == k8s::kSidecarContainer) {
      return absl::InvalidArgumentError(absl::StrCat("the pod has a container of its own named ", container.name,
                                                     ", a name that is kept for the sidecar; rename it"));
    }
  }
  return absl::OkStatus();
}

absl::Status ShareSidecar(PodPatch& patch, const PodPatch::Container& container) {
  absl::Status status =
      patch.EnsureMount(container, {{"name", kFilesVolume}, {"mountPath", k8s::kSidecarDirectory}, {"readOnly", true}});
  if (status.ok()) status = patch.EnsureVariable(container, k8s::kSocketVariable, k8s::kSocketPath, k8s::kSidecarKey);
  return status;
}

JsonObject SidecarFilesMount(const std::string& import, std::string path) {
  return {{"name", kFilesVolume},
          {"mountPath", std::move(path)},
          {"subPath", absl::StrCat("imports/", import)},
          {"readOnly", true}};
}

}  // namespace webhook
