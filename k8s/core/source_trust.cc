#include "k8s/core/source_trust.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>

#include <algorithm>
#include <map>
#include <utility>

#include "k8s/core/bound_token.h"
#include "k8s/core/names.h"
#include "k8s/core/service_account_import.h"

namespace k8s {
namespace {

constexpr char kTrustAnnotation[] = "multicluster.admiralty.io/trust";
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

// A (Cluster)Role and its binding to the broker's identity, in `namespace_name` or cluster-wide.
void AddGrant(std::vector<Json>& objects, const std::string& target_name, const std::string& name,
              const std::string& namespace_name, JsonArray rules) {
  const std::string prefix = namespace_name.empty() ? "Cluster" : "";
  objects.push_back(JsonObject{{"apiVersion", kRbacVersion},
                               {"kind", prefix + "Role"},
                               {"metadata", Metadata(name, namespace_name)},
                               {"rules", std::move(rules)}});
  objects.push_back(JsonObject{
      {"apiVersion", kRbacVersion},
      {"kind", prefix + "RoleBinding"},
      {"metadata", Metadata(name, namespace_name)},
      {"roleRef", JsonObject{{"apiGroup", kRbacGroup}, {"kind", prefix + "Role"}, {"name", name}}},
      {"subjects",
       JsonArray{JsonObject{{"kind", "ServiceAccount"}, {"name", target_name}, {"namespace", kBrokerNamespace}}}}});
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

std::vector<std::string> ToStrings(const std::vector<AccountScope>& scopes) {
  std::vector<std::string> strings;
  for (const AccountScope& scope : scopes) strings.push_back(ToString(scope));
  return strings;
}

JsonObject Validation(const std::string& expression, const std::string& message_expression) {
  return {{"reason", "Forbidden"}, {"expression", expression}, {"messageExpression", message_expression}};
}

absl::StatusOr<std::vector<AccountScope>> ParseScopes(const Json& json, const char* key) {
  std::vector<AccountScope> scopes;
  for (const std::string& text : StringsAt(json, {key})) {
    absl::StatusOr<AccountScope> scope = ParseAccountScope(text);
    if (!scope.ok()) return scope.status();
    scopes.push_back(*std::move(scope));
  }
  return scopes;
}

}  // namespace

absl::StatusOr<AccountScope> ParseAccountScope(const std::string& text) {
  const size_t slash = text.find('/');
  AccountScope scope{.namespace_name = text.substr(0, slash),
                     .name = slash == std::string::npos ? "" : text.substr(slash + 1)};
  const bool well_formed =
      IsDnsSubdomain(scope.namespace_name) && (slash == std::string::npos || IsDnsSubdomain(scope.name));
  if (!well_formed)
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is neither NAMESPACE nor NAMESPACE/NAME"));
  return scope;
}

std::string ToString(const AccountScope& scope) {
  return scope.name.empty() ? scope.namespace_name : absl::StrCat(scope.namespace_name, "/", scope.name);
}

std::vector<Json> BuildSourceIdentity(const std::string& target_name) {
  std::vector<Json> objects{
      JsonObject{{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", Metadata(kBrokerNamespace)}},
      JsonObject{{"apiVersion", "v1"},
                 {"kind", "ServiceAccount"},
                 {"metadata", Metadata(target_name, kBrokerNamespace)},
                 // Only the broker in the target bears this identity; no pod here should.
                 {"automountServiceAccountToken", false}}};
  AddGrant(objects, target_name, SourceObjectName(target_name), kBrokerNamespace,
           {Rule("serviceaccounts/token", {"create"}, {target_name})});
  return objects;
}

std::vector<Json> BuildFence(const SourceTrust& trust) {
  const std::string name = FenceName(trust.target_name);
  const JsonObject written{{"target", trust.target_name},
                           {"only", ToJsonArray(ToStrings(trust.only))},
                           {"powerful", ToJsonArray(ToStrings(trust.powerful))},
                           {"denied", ToJsonArray(ToStrings(trust.denied))},
                           {"audiences", ToJsonArray(trust.audiences)}};
  JsonObject metadata = Metadata(name);
  metadata["annotations"] = JsonObject{{kTrustAnnotation, boost::json::serialize(written)}};

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
              {"metadata", std::move(metadata)},
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
  std::vector<Json> objects;
  const std::string name = SourceObjectName(trust.target_name);
  if (trust.only.empty()) {
    AddGrant(objects, trust.target_name, name, "", AccountRules({}));
    return objects;
  }
  std::map<std::string, std::vector<std::string>> names_by_namespace;
  for (const AccountScope& scope : trust.only) names_by_namespace[scope.namespace_name].push_back(scope.name);
  for (auto& [namespace_name, names] : names_by_namespace) {
    // One entry without a name grants the whole namespace.
    if (std::find(names.begin(), names.end(), "") != names.end()) names.clear();
    // In the broker's own namespace the plain name is taken by the identity's own grant.
    AddGrant(objects, trust.target_name, absl::StrCat(name, ":accounts"), namespace_name, AccountRules(names));
  }
  return objects;
}

absl::StatusOr<SourceTrust> ParseFence(const Json& policy) {
  absl::StatusOr<Json> written = ParseJson(StringAt(policy, {"metadata", "annotations", kTrustAnnotation}));
  if (!written.ok())
    return absl::InvalidArgumentError("the policy lacks the annotation of kubemcsa; run kubemcsa bootstrap again");
  SourceTrust trust{.target_name = StringAt(*written, {"target"}), .audiences = StringsAt(*written, {"audiences"})};
  const std::pair<const char*, std::vector<AccountScope>*> lists[] = {
      {"only", &trust.only}, {"powerful", &trust.powerful}, {"denied", &trust.denied}};
  for (const auto& [key, list] : lists) {
    absl::StatusOr<std::vector<AccountScope>> scopes = ParseScopes(*written, key);
    if (!scopes.ok()) return scopes.status();
    *list = *std::move(scopes);
  }
  return trust;
}

std::string SourceObjectName(const std::string& target_name) {
  return absl::StrCat(kSourceObjectPrefix, target_name);
}

std::string FenceName(const std::string& target_name) {
  return absl::StrCat("mcsa-", target_name);
}

}  // namespace k8s
