#include "webhook/inject_pod.h"

#include <absl/status/status.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <utility>

#include "k8s/core/build_secret.h"
#include "k8s/core/names.h"
#include "webhook/pod_patch.h"
#include "webhook/sidecar.h"

namespace webhook {
namespace {

using k8s::Json;
using k8s::JsonArray;
using k8s::JsonObject;
using Container = PodPatch::Container;

constexpr char kMirrorPod[] = "kubernetes.io/config.mirror";
constexpr char kServiceHost[] = "KUBERNETES_SERVICE_HOST";
constexpr char kServicePort[] = "KUBERNETES_SERVICE_PORT";

std::string ImportDirectory(const std::string& import) {
  return absl::StrCat(k8s::kImportsDirectory, "/", import);
}

struct Server {
  std::string host;
  std::string port;
};

// What a client builds its URL from again. INVALID_ARGUMENT for URLs that host and port cannot express.
absl::StatusOr<Server> ParseServer(const Import& import) {
  if (import.server.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "import ", import.name, " is not ready, and its server, which the door in-cluster needs, is not known yet"));
  }
  absl::string_view rest = import.server;
  const auto refused = [&](const char* why) {
    return absl::InvalidArgumentError(absl::StrCat("the server of import ", import.name, ", ", import.server, ", ", why,
                                                   ", which the door in-cluster cannot express; set annotation ",
                                                   k8s::kClientKey, " to kubeconfig"));
  };
  if (!absl::ConsumePrefix(&rest, "https://")) return refused("is no https URL");
  absl::ConsumeSuffix(&rest, "/");
  if (absl::StrContains(rest, "/")) return refused("has a path");
  Server server{.port = "443"};
  const size_t colon = rest.rfind(':');
  if (colon != rest.npos && rest.find(']', colon) == rest.npos) {
    server.port = std::string(rest.substr(colon + 1));
    rest = rest.substr(0, colon);
  }
  // Clients join host and port, and put the brackets of an IPv6 address back.
  if (absl::ConsumePrefix(&rest, "[")) absl::ConsumeSuffix(&rest, "]");
  server.host = std::string(rest);
  return server;
}

// The containers that get the credential.
absl::StatusOr<std::vector<Container>> Choose(const PodPatch& patch, const PodRequest& request) {
  std::vector<Container> chosen;
  std::vector<std::string> names;
  for (const Container& container : patch.containers()) {
    if (container.name == k8s::kSidecarContainer) continue;
    names.push_back(container.name);
    if (request.containers.empty() ||
        std::find(request.containers.begin(), request.containers.end(), container.name) != request.containers.end()) {
      chosen.push_back(container);
    }
  }
  for (const std::string& wanted : request.containers) {
    if (std::find(names.begin(), names.end(), wanted) == names.end()) {
      return absl::InvalidArgumentError(absl::StrCat("annotation ", k8s::kContainersKey, " lists \"", wanted,
                                                     "\", but the pod has the containers ",
                                                     absl::StrJoin(names, ", ")));
    }
  }
  return chosen;
}

absl::Status CheckImports(absl::Span<const Import> imports, bool with_sidecar) {
  for (const Import& import : imports) {
    if (with_sidecar) continue;  // its start gate waits
    if (!import.in_secret) {
      return absl::InvalidArgumentError(absl::StrCat("import ", import.name,
                                                     " has delivery Broker, which needs the sidecar; set annotation ",
                                                     k8s::kSidecarKey, " to enabled"));
    }
    if (!import.not_ready.empty()) {
      return absl::FailedPreconditionError(absl::StrCat("import ", import.name, " is not ready: ", import.not_ready,
                                                        "; see kubectl describe serviceaccountimport ", import.name,
                                                        "; the pod is admitted as soon as the import is ready"));
    }
  }
  return absl::OkStatus();
}

// Without the sidecar: one volume an import, mounted from its Secret.
absl::Status AddSecretVolumes(PodPatch& patch, absl::Span<const Import> imports) {
  for (const Import& import : imports) {
    const absl::Status added =
        patch.EnsureVolume({{"name", VolumeName(import.name)},
                            {"secret", JsonObject{{"secretName", k8s::SecretName(import.name, import.uid)}}}});
    if (!added.ok()) return added;
  }
  return absl::OkStatus();
}

// What a container mounts to see an import's files at `path`.
JsonObject BuildMount(const Import& import, bool with_sidecar, std::string path) {
  if (with_sidecar) return SidecarFilesMount(import.name, std::move(path));
  return {{"name", VolumeName(import.name)}, {"mountPath", std::move(path)}, {"readOnly", true}};
}

std::string KubeconfigValue(absl::Span<const Import> imports, bool with_sidecar) {
  if (with_sidecar) return k8s::kMergedKubeconfigPath;
  return absl::StrJoin(imports, ":", [](std::string* out, const Import& import) {
    absl::StrAppend(out, ImportDirectory(import.name), "/", k8s::kConfigKey);
  });
}

absl::Status OpenDoor(PodPatch& patch, const Container& container, Door door, absl::Span<const Import> imports,
                      bool with_sidecar) {
  switch (door) {
    case Door::kFiles:
      return absl::OkStatus();
    case Door::kKubeconfig:
      return patch.EnsureVariable(container, "KUBECONFIG", KubeconfigValue(imports, with_sidecar), k8s::kClientKey);
    case Door::kInCluster: {
      const absl::StatusOr<Server> server = ParseServer(imports.front());
      if (!server.ok()) return server.status();
      patch.ReplaceVariable(container, kServiceHost, server->host);
      patch.ReplaceVariable(container, kServicePort, server->port);
      return patch.ReplaceTokenMount(container, BuildMount(imports.front(), with_sidecar, kTokenDirectory));
    }
  }
  return absl::InternalError("unknown door");
}

absl::Status FillContainer(PodPatch& patch, const Container& container, Door door, absl::Span<const Import> imports,
                           bool with_sidecar) {
  for (const Import& import : imports) {
    const absl::Status mounted =
        patch.EnsureMount(container, BuildMount(import, with_sidecar, ImportDirectory(import.name)));
    if (!mounted.ok()) return mounted;
  }
  if (with_sidecar) {
    if (absl::Status shared = ShareSidecar(patch, container); !shared.ok()) return shared;
  }
  return OpenDoor(patch, container, door, imports, with_sidecar);
}

}  // namespace

absl::StatusOr<Injection> InjectPod(const Json& pod, const PodRequest& request, absl::Span<const Import> imports,
                                    const std::string& sidecar_image) {
  if (request.imports.empty()) return Injection();
  if (k8s::Find(pod, {"metadata", "annotations", kMirrorPod}) != nullptr) {
    return absl::InvalidArgumentError("a static pod cannot have imports: the kubelet runs it without asking anybody");
  }
  const bool with_sidecar = request.sidecar.value_or(false);
  if (absl::Status usable = CheckImports(imports, with_sidecar); !usable.ok()) return usable;
  PodPatch patch(pod);
  const absl::StatusOr<std::vector<Container>> chosen = Choose(patch, request);
  if (!chosen.ok()) return chosen.status();

  absl::Status status = with_sidecar ? AddSidecar(patch, pod, request, imports, sidecar_image) : NoSidecar(patch);
  if (status.ok() && !with_sidecar) status = AddSecretVolumes(patch, imports);
  for (const Container& container : *chosen) {
    if (status.ok()) status = FillContainer(patch, container, request.door, imports, with_sidecar);
  }
  if (!status.ok()) return status;
  patch.EnsureLabel(k8s::kInjectedLabel, "true");

  Injection injection{.patch = std::move(patch).Build()};
  if (request.door == Door::kKubeconfig && imports.size() > 1 && !with_sidecar) {
    injection.warnings.push_back(
        "KUBECONFIG lists several files; the official Java and C clients read the first only. With the sidecar it is "
        "one file");
  }
  if (const Json* host_network = k8s::Find(pod, {"spec", "hostNetwork"});
      with_sidecar && host_network != nullptr && *host_network == true) {
    injection.warnings.push_back(
        "The sidecar of a pod with hostNetwork may not reach the broker: it needs dnsPolicy ClusterFirstWithHostNet, "
        "and the broker's NetworkPolicy must let nodes in. Without it tokens are as fresh as the Secret's mount");
  }
  return injection;
}

}  // namespace webhook
