#include "broker/authorize_caller.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "k8s/core/names.h"
#include "k8s/core/service_account_import.h"

namespace broker {
namespace {

constexpr std::string_view kImportArgument = "--import=";

absl::Status Unauthenticated(std::string_view cause) {
  return absl::UnauthenticatedError(
      absl::StrCat(std::string(cause), "; read the pod's token file again and call again with back-off"));
}

std::string FirstOf(const k8s::Json& review, std::string_view key) {
  const std::vector<std::string> values = k8s::StringsAt(review, {"status", "user", "extra", key});
  return values.size() == 1 ? values.front() : "";
}

void SortUnique(std::vector<std::string>& names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
}

}  // namespace

absl::StatusOr<k8s::BoundToken> ParseBearer(std::string_view authorization) {
  constexpr std::string_view kScheme = "Bearer ";
  if (!authorization.starts_with(kScheme)) {
    return Unauthenticated("the call has no metadata \"authorization: Bearer <token>\"");
  }
  absl::StatusOr<k8s::BoundToken> token = k8s::ParseBoundToken(k8s::SecretString(authorization.substr(kScheme.size())));
  if (!token.ok()) return Unauthenticated(std::string(token.status().message()));
  if (token->audiences != std::vector<std::string>{k8s::kBrokerAudience}) {
    return Unauthenticated(absl::StrCat("the token is for audiences [", absl::StrJoin(token->audiences, ", "),
                                        "], and must be for ", k8s::kBrokerAudience, " alone"));
  }
  return token;
}

absl::StatusOr<Caller> ParseTokenReview(const k8s::Json& review, const k8s::BoundToken& token) {
  if (!k8s::BoolAt(review, {"status", "authenticated"})) {
    return Unauthenticated(
        absl::StrCat("the API server refuses the token: ", k8s::StringAt(review, {"status", "error"})));
  }
  const std::vector<std::string> audiences = k8s::StringsAt(review, {"status", "audiences"});
  if (std::find(audiences.begin(), audiences.end(), k8s::kBrokerAudience) == audiences.end()) {
    // An authenticator that does not know audiences leaves the list empty: its word is not enough.
    return Unauthenticated("the API server does not confirm that the token is for this service");
  }
  Caller caller{.pod_name = FirstOf(review, "authentication.kubernetes.io/pod-name"),
                .pod_uid = FirstOf(review, "authentication.kubernetes.io/pod-uid"),
                .account = k8s::StringAt(review, {"status", "user", "username"}),
                .token_id = token.token_id};
  constexpr std::string_view kAccountPrefix = "system:serviceaccount:";
  const size_t colon = caller.account.rfind(':');
  if (!absl::StartsWith(caller.account, {kAccountPrefix.data(), kAccountPrefix.size()}) ||
      colon < kAccountPrefix.size()) {
    return Unauthenticated(absl::StrCat("the token is of ", caller.account, ", which is no ServiceAccount"));
  }
  caller.namespace_name = caller.account.substr(kAccountPrefix.size(), colon - kAccountPrefix.size());
  if (caller.pod_name.empty() || caller.pod_uid.empty()) {
    return Unauthenticated("the token is bound to no pod; use the one that is projected into the sidecar");
  }
  return caller;
}

InjectedPod ParseInjectedPod(const k8s::Json& pod) {
  InjectedPod parsed{.uid = k8s::StringAt(pod, {"metadata", "uid"})};
  if (k8s::StringAt(pod, {"metadata", "labels", k8s::kInjectedLabel}) != "true") return parsed;
  for (const k8s::Json& container : k8s::ArrayAt(pod, {"spec", "initContainers"})) {
    if (k8s::StringAt(container, {"name"}) != k8s::kSidecarContainer) continue;
    parsed.injected = true;
    for (const std::string& argument : k8s::StringsAt(container, {"args"})) {
      if (!argument.starts_with(kImportArgument) || parsed.imports.size() == kMaxImportsOfPod) continue;
      std::string name = argument.substr(kImportArgument.size());
      if (k8s::IsDnsSubdomain(name)) parsed.imports.push_back(std::move(name));
    }
  }
  SortUnique(parsed.imports);
  return parsed;
}

absl::StatusOr<Grant> AuthorizeCaller(const Caller& caller, const InjectedPod* pod,
                                      const std::vector<std::string>& names) {
  const std::string who = absl::StrCat("pod ", caller.namespace_name, "/", caller.pod_name);
  if (pod == nullptr || pod->uid != caller.pod_uid) {
    return Unauthenticated(absl::StrCat(who, " with UID ", caller.pod_uid, ", whose token this is, is gone"));
  }
  if (!pod->injected) {
    return absl::PermissionDeniedError(absl::StrCat(
        who, " has no sidecar of ours (label ", k8s::kInjectedLabel, ", init container ", k8s::kSidecarContainer,
        "); have the webhook inject it: annotation ", k8s::kImportNameKey, ", and ", k8s::kSidecarKey, "=enabled"));
  }
  if (names.size() > kMaxImportsOfPod) {
    return absl::InvalidArgumentError(
        absl::StrCat("the request names ", names.size(), " imports, more than ", kMaxImportsOfPod));
  }
  std::vector<std::string> asked = names;
  SortUnique(asked);
  for (const std::string& name : asked) {
    // The name is not repeated: it may be long, or no text at all.
    if (!k8s::IsDnsSubdomain(name)) return absl::InvalidArgumentError("a requested name is no DNS-1123 subdomain");
  }
  Grant grant;
  if (asked.empty()) {
    grant.allowed = pod->imports;
    return grant;
  }
  std::set_intersection(asked.begin(), asked.end(), pod->imports.begin(), pod->imports.end(),
                        std::back_inserter(grant.allowed));
  std::set_difference(asked.begin(), asked.end(), pod->imports.begin(), pod->imports.end(),
                      std::back_inserter(grant.refused));
  return grant;
}

}  // namespace broker
