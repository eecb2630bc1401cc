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

// What makes an account too powerful to hand out unasked: any one of these rights leads to all others. Cluster-wide
// only: a right in one namespace is the source admin's choice. docs/security.md lists them.
struct Power {
  std::string group;
  std::string resource;
  std::string subresource;
  std::vector<std::string> verbs;
};
const std::vector<std::string> kWrite{"create", "update", "patch"};
const Power kPowers[] = {
    {"*", "*", "", {"*"}},
    {"", "secrets", "", {"get", "list", "watch"}},
    {"", "serviceaccounts", "token", {"create"}},
    {"", "users", "", {"impersonate"}},
    {"", "groups", "", {"impersonate"}},
    {"", "serviceaccounts", "", {"impersonate"}},
    {"rbac.authorization.k8s.io", "roles", "", {"escalate", "bind"}},
    {"rbac.authorization.k8s.io", "clusterroles", "", {"escalate", "bind"}},
    // Code in a pod of any namespace has the pod's account, and a new pod has any account, or its node.
    {"", "pods", "", kWrite},
    {"", "pods", "exec", {"create", "get"}},  // get: by WebSocket, before Kubernetes 1.35
    {"", "pods", "ephemeralcontainers", {"update", "patch"}},
    {"", "replicationcontrollers", "", kWrite},
    {"apps", "deployments", "", kWrite},
    {"apps", "daemonsets", "", kWrite},
    {"apps", "statefulsets", "", kWrite},
    {"apps", "replicasets", "", kWrite},
    {"batch", "jobs", "", kWrite},
    {"batch", "cronjobs", "", kWrite},
    // The kubelet's own API, which runs commands in its pods.
    {"", "nodes", "proxy", {"create", "get"}},
    // Who answers admissions sees what is written, Secrets among it, and may change it.
    {"admissionregistration.k8s.io", "mutatingwebhookconfigurations", "", kWrite},
    {"admissionregistration.k8s.io", "validatingwebhookconfigurations", "", kWrite},
    {"admissionregistration.k8s.io", "mutatingadmissionpolicies", "", kWrite},
    // Certificates of any user and group.
    {"certificates.k8s.io", "certificatesigningrequests", "approval", {"update", "patch"}},
    {"certificates.k8s.io", "certificatesigningrequests", "status", {"update", "patch"}},
};

// A check costs 350,000 of CEL's units, and the API server stops an evaluation of a policy after 10,000,000
// (k8s.io/apiserver/pkg/apis/cel, RuntimeCELCostBudget): more checks need more policies.
constexpr size_t kChecksPerPolicy = 28;

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

// Of all accounts, or those named. Who may see only some by name cannot watch: the broker has their tokens reviewed.
JsonArray AccountRules(const std::vector<std::string>& names) {
  JsonArray rules{Rule("serviceaccounts/token", {"create"}, names)};
  if (names.empty()) rules.push_back(Rule("serviceaccounts", {"list", "watch"}, {}));
  return rules;
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

std::string Check(const Power& power, const std::string& verb) {
  const std::string subresource =
      power.subresource.empty() ? "" : absl::StrCat(".subresource(", Quote(power.subresource), ")");
  return absl::StrCat("variables.sa.group(", Quote(power.group), ").resource(", Quote(power.resource), ")", subresource,
                      ".check(", Quote(verb), ").allowed()");
}

// "create pods/exec"
std::string Describe(const Power& power, const std::string& verb) {
  if (verb == "*") return "do everything";
  return absl::StrCat(verb, " ", power.resource, power.subresource.empty() ? "" : "/", power.subresource);
}

// Never that of a part of another target's fence: no name begins with that of the prefix.
std::string FencePartName(const std::string& target_name, size_t part) {
  return part == 0 ? FenceName(target_name) : absl::StrCat("mcsa", part + 1, "-", target_name);
}

Json BuildPolicy(JsonObject metadata, const SourceTrust& trust, JsonArray validations) {
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
  return JsonObject{
      {"apiVersion", "admissionregistration.k8s.io/v1"},
      {"kind", "ValidatingAdmissionPolicy"},
      {"metadata", std::move(metadata)},
      {"spec",
       JsonObject{
           {"failurePolicy", "Fail"},
           {"matchConstraints",
            JsonObject{{"resourceRules", JsonArray{JsonObject{{"apiGroups", JsonArray{""}},
                                                              {"apiVersions", JsonArray{"*"}},
                                                              {"operations", JsonArray{"CREATE"}},
                                                              {"resources", JsonArray{"serviceaccounts/token"}}}}}}},
           {"matchConditions",
            JsonArray{JsonObject{
                {"name", "only-the-broker"},
                {"expression", absl::StrCat("request.userInfo.username == ",
                                            Quote(ServiceAccountUser(kBrokerNamespace, trust.target_name)))}}}},
           {"variables", variables},
           {"validations", std::move(validations)}}}};
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
  std::vector<JsonArray> parts{std::move(validations)};
  size_t checks = 0;
  for (const Power& power : kPowers) {
    for (const std::string& verb : power.verbs) {
      if (checks > 0 && checks % kChecksPerPolicy == 0) parts.emplace_back();
      ++checks;
      parts.back().push_back(Validation(
          absl::StrCat("variables.exempt || !", Check(power, verb)),
          absl::StrCat("variables.account + ' may ", Describe(power, verb),
                       ", and so could take over the cluster; its admin may allow it: kubemcsa allow --powerful'")));
    }
  }
  std::vector<Json> objects;
  for (size_t i = parts.size(); i-- > 0;) {
    const std::string name = FencePartName(trust.target_name, i);
    objects.push_back(BuildPolicy(i == 0 ? TrustMetadata(name, trust) : Metadata(name), trust, std::move(parts[i])));
    objects.push_back(JsonObject{{"apiVersion", "admissionregistration.k8s.io/v1"},
                                 {"kind", "ValidatingAdmissionPolicyBinding"},
                                 {"metadata", Metadata(name)},
                                 {"spec", JsonObject{{"policyName", name}, {"validationActions", JsonArray{"Deny"}}}}});
  }
  return objects;
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
