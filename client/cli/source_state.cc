#include "client/cli/source_state.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "k8s/core/source_objects.h"

namespace cli {
namespace {

constexpr char kRbacVersion[] = "rbac.authorization.k8s.io/v1";

bool IsSameObject(const k8s::Json& a, const k8s::Json& b) {
  return ResourceOf(a).plural == ResourceOf(b).plural && k8s::KeyOf(a) == k8s::KeyOf(b);
}

}  // namespace

absl::StatusOr<k8s::Fencing> FindFencing(const k8s::Client& source) {
  absl::StatusOr<k8s::Json> resources = source.GetPath("/apis/admissionregistration.k8s.io/v1");
  if (!resources.ok()) return resources.status();
  for (const k8s::Json& resource : k8s::ArrayAt(*resources, {"resources"})) {
    if (k8s::StringAt(resource, {"name"}) == kFences.plural) return k8s::Fencing::kFence;
  }
  return k8s::Fencing::kNone;
}

absl::StatusOr<std::optional<k8s::SourceTrust>> FindTrust(const k8s::Client& source, const std::string& target_name) {
  std::string unreadable;
  for (const auto& [resource, name] : {std::pair{kFences, k8s::FenceName(target_name)},
                                       std::pair{kClusterRoles, k8s::SourceObjectName(target_name)}}) {
    absl::StatusOr<k8s::Json> object = source.Get(resource, {"", name});
    if (absl::IsNotFound(object.status())) continue;
    if (!object.ok()) return object.status();
    absl::StatusOr<k8s::SourceTrust> trust = k8s::ParseTrust(*object);
    if (trust.ok()) return *std::move(trust);
    unreadable = absl::StrCat(resource.plural, "/", name, ": ", std::string(trust.status().message()));
  }
  if (unreadable.empty()) return std::nullopt;
  return absl::FailedPreconditionError(
      absl::StrCat(unreadable,
                   "; what was granted is not known, and a guess could grant more. Take it back and grant it anew: "
                   "kubemcsa unbootstrap, then bootstrap"));
}

absl::Status UnknownTargetError(const std::string& target_name) {
  return absl::NotFoundError(
      absl::StrCat("this cluster knows no target ", target_name, "; are these the right name and --context?"));
}

absl::StatusOr<std::vector<k8s::Json>> FindGrants(const k8s::Client& source, const std::string& target_name) {
  std::vector<k8s::Json> grants;
  for (const auto& [kind, name] : {std::pair{"ClusterRoleBinding", k8s::SourceObjectName(target_name)},
                                   std::pair{"RoleBinding", k8s::NamespaceGrantName(target_name)},
                                   std::pair{"ClusterRole", k8s::SourceObjectName(target_name)},
                                   std::pair{"Role", k8s::NamespaceGrantName(target_name)}}) {
    const k8s::JsonObject stub{{"apiVersion", kRbacVersion}, {"kind", kind}};
    absl::StatusOr<k8s::ObjectList> list = source.List(
        ResourceOf(stub), "", {.field_selector = absl::StrCat("metadata.name=", name), .metadata_only = true});
    if (!list.ok()) return list.status();
    for (const k8s::Json& item : list->items) {
      k8s::JsonObject grant = stub;
      grant["metadata"] = k8s::JsonObject{{"name", name}, {"namespace", k8s::KeyOf(item).namespace_name}};
      grants.push_back(std::move(grant));
    }
  }
  return grants;
}

absl::StatusOr<std::vector<k8s::Json>> FindGrantsBeyond(const k8s::Client& source, const k8s::SourceTrust& trust) {
  absl::StatusOr<std::vector<k8s::Json>> grants = FindGrants(source, trust.target_name);
  if (!grants.ok()) return grants;
  for (const k8s::Json& wanted : k8s::BuildSourceGrants(trust)) {
    std::erase_if(*grants, [&](const k8s::Json& grant) { return IsSameObject(grant, wanted); });
  }
  return grants;
}

absl::Status DeleteGrantsBeyond(const k8s::Client& source, const k8s::SourceTrust& trust) {
  absl::StatusOr<std::vector<k8s::Json>> grants = FindGrantsBeyond(source, trust);
  if (!grants.ok()) return grants.status();
  for (const k8s::Json& grant : *grants) {
    if (absl::Status status = DeleteObject(source, grant); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<k8s::ClusterConnection> ConnectAsBroker(const Cluster& source, const k8s::SecretString& token) {
  return k8s::Connect({.server = source.access.server,
                       .ca_data = source.access.ca_data,
                       .ca_file = source.access.ca_file,
                       .tls_server_name = source.access.tls_server_name,
                       .proxy_url = source.access.proxy_url,
                       .insecure_skip_tls_verify = source.access.insecure_skip_tls_verify,
                       .token = token},
                      k8s::Environment::OfThisProcess());
}

}  // namespace cli
