#include "k8s/core/source_objects.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>

#include <algorithm>
#include <map>
#include <utility>

#include "k8s/core/bound_token.h"
#include "k8s/core/names.h"

namespace k8s {
namespace {

constexpr char kRbacGroup[] = "rbac.authorization.k8s.io";
constexpr char kRbacVersion[] = "rbac.authorization.k8s.io/v1";

// What makes an account too powerful to hand out unasked. Cluster-wide: a right in one namespace is the source admin's
// choice. One expression each, because CEL's cost limit allows an expression two of these checks.
struct Power {
  const char* what;
  const char* check;
};
constexpr Power kPowers[] = {
    {"may do everything", "group('*').resource('*').check('*')"},
    {"may read Secrets", "group('').resource('secrets').check('get')"},
    {"may list Secrets", "group('').resource('secrets').check('list')"},
    {"may take tokens", "group('').resource('serviceaccounts').subresource('token').check('create')"},
    {"may escalate roles", "group('rbac.authorization.k8s.io').resource('clusterroles').check('escalate')"},
    {"may bind roles", "group('rbac.authorization.k8s.io').resource('clusterroles').check('bind')"},
    {"may impersonate users", "group('').resource('users').check('impersonate')"},
    {"may impersonate groups", "group('').resource('groups').check('impersonate')"},
    {"may impersonate accounts", "group('').resource('serviceaccounts').check('impersonate')"},
};

JsonObject Metadata(const std::string& name, const std::string& namespace_name = "") {
  JsonObject metadata{{"name", name}, {"labels", JsonObject{{kManagedByLabel, kManagedByValue}}}};
  if (!namespace_name.empty()) metadata["namespace"] = namespace_name;
  return metadata;
}

// Of the objects that keep the trust.
JsonObject TrustMetadata(const std::string& name, const SourceTrust& trust) {
  JsonObject metadata = Metadata(name);
  metadata["annotations"] = JsonObject{{kTrustKey, SerializeTrust(trust)}};
  return metadata;
}

// In `namespace_name`, or cluster-wide. The metadata may hold more than a name.
Json BuildRole(JsonObject metadata, JsonArray rules) {
  const char* kind = metadata.contains("namespace") ? "Role" : "ClusterRole";
  return JsonObject{
      {"apiVersion", kRbacVersion}, {"kind", kind}, {"metadata", std::move(metadata)}, {"rules", std::move(rules)}};
}

// Gives the broker's identity the role of the same name.
Json BuildBinding(const std::string& target_name, const std::string& name, const std::string& namespace_name = "") {
  const std::string prefix = namespace_name.empty() ? "Cluster" : "";
  return JsonObject{
      {"apiVersion", kRbacVersion},
      {"kind", prefix + "RoleBinding"},
      {"metadata", Metadata(name, namespace_name)},
      {"roleRef", JsonObject{{"apiGroup", kRbacGroup}, {"kind", prefix + "Role"}, {"name", name}}},
      {"subjects",
       JsonArray{JsonObject{{"kind", "ServiceAccount"}, {"name", target_name}, {"namespace", kBrokerNamespace}}}}};
}

JsonObject Rule(const std::string& resource, JsonArray verbs, const std::vector<std::string>& names) {
  JsonObject rule{{"apiGroups", JsonArray{""}}, {"resources", JsonArray{resource}}, {"verbs", std::move(verbs)}};
  if (!names.empty()) rule["resourceNames"] = ToJsonArray(names);
  return rule;
}

JsonArray AccountRules(const std::vector<std::string>& names) {
  return {Rule("serviceaccounts/token", {"create"}, names), Rule("serviceaccounts", {"get", "list", "watch"}, names)};
}

// A CEL string literal.
std::string Quote(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

std::string CelList(const std::vector<std::string>& values) {
  return absl::StrCat(
      "[", absl::StrJoin(values, ", ", [](std::string* out, const std::string& v) { *out += Quote(v); }), "]");
}

JsonObject Validation(const std::string& expression, const std::string& message_expression) {
  return {{"reason", "Forbidden"}, {"expression", expression}, {"messageExpression", message_expression}};
}

}  // namespace

std::vector<Json> BuildSourceIdentity(const std::string& target_name) {
  const std::string role = SourceObjectName(target_name);
  return {JsonObject{{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", Metadata(kBrokerNamespace)}},
          JsonObject{{"apiVersion", "v1"},
                     {"kind", "ServiceAccount"},
                     {"metadata", Metadata(target_name, kBrokerNamespace)},
                     // Only the broker in the target bears this identity; no pod here should.
                     {"automountServiceAccountToken", false}},
          BuildRole(Metadata(role, kBrokerNamespace), {Rule("serviceaccounts/token", {"create"}, {target_name})}),
          BuildBinding(target_name, role, kBrokerNamespace)};
}

std::vector<Json> BuildFence(const SourceTrust& trust) {
  const std::string name = FenceName(trust.target_name);
  const JsonArray variables{
      JsonObject{{"name", "account"}, {"expression", "request.namespace + '/' + request.name"}},
      // The broker renews its own credential even if all else is refused.
      JsonObject{{"name", "own"},
                 {"expression", absl::StrCat("variables.account == ",
                                             Quote(absl::StrCat(kBrokerNamespace, "/", trust.target_name)))}},
      JsonObject{{"name", "sa"}, {"expression", "authorizer.serviceAccount(request.namespace, request.name)"}},
      JsonObject{
          {"name", "exempt"},
          {"expression", absl::StrCat("variables.own || variables.account in ", CelList(ToStrings(trust.powerful)))}}};
  JsonArray validations{
      Validation("!request.namespace.startsWith('kube-')",
                 "'the broker may not take tokens of namespace ' + request.namespace"),
      // Else a target whose rights are narrow could borrow those of another target.
      Validation(absl::StrCat("variables.own || request.namespace != ", Quote(kBrokerNamespace)),
                 "'the broker may not take tokens of ' + variables.account + ', the identity of another target'"),
      Validation(absl::StrCat("variables.own || !(variables.account in ", CelList(ToStrings(trust.denied)), ")"),
                 "'the broker may not take tokens of ' + variables.account + ', which was denied'"),
      Validation("object.spec.expirationSeconds <= (variables.own ? 2592000 : 86400)",
                 "'expirationSeconds ' + string(object.spec.expirationSeconds) + ' is too much'"),
      Validation(absl::StrCat("object.spec.audiences.all(a, a in ", CelList(trust.audiences), ")"),
                 "'the broker may not take tokens for audiences ' + object.spec.audiences.join(', ')")};
  for (const Power& power : kPowers) {
    validations.push_back(Validation(
        absl::StrCat("variables.exempt || !variables.sa.", power.check, ".allowed()"),
        absl::StrCat("variables.account + ' ", power.what,
                     ", and so could take over the cluster; its admin may allow it: kubemcsa allow --powerful'")));
  }

  return {JsonObject{
              {"apiVersion", "admissionregistration.k8s.io/v1"},
              {"kind", "ValidatingAdmissionPolicy"},
              {"metadata", TrustMetadata(name, trust)},
              {"spec",
               JsonObject{
                   {"failurePolicy", "Fail"},
                   {"matchConstraints",
                    JsonObject{
                        {"resourceRules", JsonArray{JsonObject{{"apiGroups", JsonArray{""}},
                                                               {"apiVersions", JsonArray{"*"}},
                                                               {"operations", JsonArray{"CREATE"}},
                                                               {"resources", JsonArray{"serviceaccounts/token"}}}}}}},
                   {"matchConditions",
                    JsonArray{JsonObject{
                        {"name", "only-the-broker"},
                        {"expression", absl::StrCat("request.userInfo.username == ",
                                                    Quote(ServiceAccountUser(kBrokerNamespace, trust.target_name)))}}}},
                   {"variables", variables},
                   {"validations", validations}}}},
          JsonObject{{"apiVersion", "admissionregistration.k8s.io/v1"},
                     {"kind", "ValidatingAdmissionPolicyBinding"},
                     {"metadata", Metadata(name)},
                     {"spec", JsonObject{{"policyName", name}, {"validationActions", JsonArray{"Deny"}}}}}};
}

std::vector<Json> BuildSourceGrants(const SourceTrust& trust) {
  const std::string cluster_name = SourceObjectName(trust.target_name);
  if (trust.only.empty()) {
    return {BuildRole(TrustMetadata(cluster_name, trust), AccountRules({})),
            BuildBinding(trust.target_name, cluster_name)};
  }
  std::vector<Json> objects{BuildRole(TrustMetadata(cluster_name, trust), {})};
  std::map<std::string, std::vector<std::string>> names_by_namespace;
  for (const AccountScope& scope : trust.only) names_by_namespace[scope.namespace_name].push_back(scope.name);
  const std::string name = NamespaceGrantName(trust.target_name);
  for (auto& [namespace_name, names] : names_by_namespace) {
    // One entry without a name grants the whole namespace.
    if (std::find(names.begin(), names.end(), "") != names.end()) names.clear();
    objects.push_back(BuildRole(Metadata(name, namespace_name), AccountRules(names)));
    objects.push_back(BuildBinding(trust.target_name, name, namespace_name));
  }
  return objects;
}

std::string SourceObjectName(const std::string& target_name) {
  return absl::StrCat(kSourceObjectPrefix, target_name);
}

std::string NamespaceGrantName(const std::string& target_name) {
  return absl::StrCat(SourceObjectName(target_name), ":accounts");
}

std::string FenceName(const std::string& target_name) {
  return absl::StrCat("mcsa-", target_name);
}

}  // namespace k8s
