#include "k8s/core/import_policy.h"

#include <absl/status/status.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "k8s/core/names.h"

namespace k8s {
namespace {

bool MatchesGlob(const std::string& pattern, const std::string& text) {
  if (pattern.empty() || pattern.back() != '*') return pattern == text;
  return absl::StartsWith(text, pattern.substr(0, pattern.size() - 1));
}

bool MatchesAny(const std::vector<std::string>& patterns, const std::string& text) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return MatchesGlob(pattern, text); });
}

bool Contains(const std::vector<std::string>& values, const std::string& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool MatchesLabels(const std::vector<LabelRequirement>& requirements,
                   const std::map<std::string, std::string>& labels) {
  return std::all_of(requirements.begin(), requirements.end(), [&](const LabelRequirement& requirement) {
    const auto label = labels.find(requirement.key);
    const bool exists = label != labels.end();
    switch (requirement.op) {
      case LabelRequirement::Operator::kIn:
        return exists && Contains(requirement.values, label->second);
      case LabelRequirement::Operator::kNotIn:
        return !exists || !Contains(requirement.values, label->second);
      case LabelRequirement::Operator::kExists:
        return exists;
      case LabelRequirement::Operator::kDoesNotExist:
        return !exists;
    }
    return false;
  });
}

// Empty if the rule matches the import, else the first thing in the way.
std::string Mismatch(const PolicyRule& rule, const ServiceAccountImport& import,
                     const std::map<std::string, std::string>& namespace_labels) {
  const ImportSpec& spec = import.spec;
  if (!MatchesLabels(rule.target_namespace_labels, namespace_labels) ||
      (!rule.target_namespace_names.empty() && !MatchesAny(rule.target_namespace_names, import.meta.namespace_name))) {
    return absl::StrCat("it does not apply to namespace ", import.meta.namespace_name);
  }
  if (!rule.source_clusters.empty() && !MatchesAny(rule.source_clusters, spec.cluster_name)) {
    return absl::StrCat("source cluster ", spec.cluster_name, " is not among its source clusters");
  }
  if (rule.same_namespace && spec.namespace_name != import.meta.namespace_name) {
    return absl::StrCat("it allows only the source namespace of the same name, ", import.meta.namespace_name);
  }
  if (!rule.same_namespace && !MatchesAny(rule.source_namespaces, spec.namespace_name)) {
    return absl::StrCat("source namespace ", spec.namespace_name, " is not among its source namespaces");
  }
  if (absl::StartsWith(spec.namespace_name, "kube-") && !Contains(rule.source_namespaces, spec.namespace_name)) {
    return absl::StrCat("it does not name source namespace ", spec.namespace_name, " in full, as kube-* needs");
  }
  if (!rule.account_names.empty() && !MatchesAny(rule.account_names, spec.name)) {
    return absl::StrCat("account ", spec.name, " is not among its account names");
  }
  for (const std::string& audience : spec.audiences) {
    if (!Contains(rule.audiences, audience)) return absl::StrCat("audience ", audience, " is not among its audiences");
  }
  if (spec.expiration > rule.max_expiration) {
    return absl::StrCat("expirationSeconds is above its maximum of ", absl::ToInt64Seconds(rule.max_expiration));
  }
  return "";
}

// Empty if the rule allows the import.
std::string Refusal(const PolicyRule& rule, const ServiceAccountImport& import,
                    const std::map<std::string, std::string>& namespace_labels,
                    const std::vector<std::shared_ptr<const ServiceAccountImport>>& older) {
  if (std::string mismatch = Mismatch(rule, import, namespace_labels); !mismatch.empty() || rule.max_imports == 0) {
    return mismatch;
  }
  const int64_t counted = std::count_if(
      older.begin(), older.end(), [&](const auto& other) { return Mismatch(rule, *other, namespace_labels).empty(); });
  if (counted < rule.max_imports) return "";
  return absl::StrCat("namespace ", import.meta.namespace_name, " has its ", rule.max_imports, " imports already");
}

absl::StatusOr<LabelRequirement::Operator> ParseOperator(const std::string& text) {
  if (text == "In") return LabelRequirement::Operator::kIn;
  if (text == "NotIn") return LabelRequirement::Operator::kNotIn;
  if (text == "Exists") return LabelRequirement::Operator::kExists;
  if (text == "DoesNotExist") return LabelRequirement::Operator::kDoesNotExist;
  return absl::InvalidArgumentError(absl::StrCat("targetNamespaces has an unknown operator \"", text, "\""));
}

absl::StatusOr<PolicyRule> ParseRule(const Json& json) {
  PolicyRule rule;
  for (const auto& [key, value] : StringMapAt(json, {"targetNamespaces", "matchLabels"})) {
    rule.target_namespace_labels.push_back({key, LabelRequirement::Operator::kIn, {value}});
  }
  for (const Json& expression : ArrayAt(json, {"targetNamespaces", "matchExpressions"})) {
    absl::StatusOr<LabelRequirement::Operator> op = ParseOperator(StringAt(expression, {"operator"}));
    if (!op.ok()) return op.status();
    rule.target_namespace_labels.push_back({StringAt(expression, {"key"}), *op, StringsAt(expression, {"values"})});
  }
  rule.target_namespace_names = StringsAt(json, {"targetNamespaceNames"});
  rule.source_clusters = StringsAt(json, {"sourceClusters"});
  rule.source_namespaces = StringsAt(json, {"sourceNamespaces"});
  rule.same_namespace = BoolAt(json, {"sameNamespace"});
  rule.account_names = StringsAt(json, {"accountNames"});
  rule.audiences = StringsAt(json, {"audiences"});
  if (const int64_t seconds = IntAt(json, {"maxExpirationSeconds"}); seconds > 0) {
    rule.max_expiration = absl::Seconds(seconds);
  }
  rule.max_imports = IntAt(json, {"maxImports"});
  if (rule.same_namespace != rule.source_namespaces.empty()) {
    return absl::InvalidArgumentError("exactly one of sameNamespace and sourceNamespaces must be set");
  }
  return rule;
}

}  // namespace

absl::StatusOr<ImportPolicy> ParseImportPolicy(const Json& object) {
  ImportPolicy policy{.name = StringAt(object, {"metadata", "name"}), .rules = {}};
  for (const Json& json : ArrayAt(object, {"spec", "rules"})) {
    absl::StatusOr<PolicyRule> rule = ParseRule(json);
    if (!rule.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(policy.name, "[", policy.rules.size(), "]: ", std::string(rule.status().message())));
    }
    policy.rules.push_back(*std::move(rule));
  }
  return policy;
}

PolicyDecision DecideImport(const ServiceAccountImport& import,
                            const std::map<std::string, std::string>& namespace_labels,
                            const std::vector<std::shared_ptr<const ServiceAccountImport>>& older,
                            const std::vector<ImportPolicy>& policies) {
  PolicyDecision decision;
  // A user who had the broker's identity could take any token that the fence lets the broker take.
  if (import.spec.namespace_name == kBrokerNamespace) {
    return {.allowed = false,
            .rule = "",
            .reason = absl::StrCat("source namespace ", kBrokerNamespace,
                                   " holds the broker's own identities, which no policy can allow")};
  }
  for (const ImportPolicy& policy : policies) {
    for (size_t i = 0; i < policy.rules.size(); ++i) {
      const std::string rule = absl::StrCat(policy.name, "[", i, "]");
      const std::string refusal = Refusal(policy.rules[i], import, namespace_labels, older);
      if (refusal.empty()) return {.allowed = true, .rule = rule, .reason = ""};
      if (decision.reason.empty()) decision.reason = absl::StrCat("rule ", rule, " does not allow it: ", refusal);
    }
  }
  if (decision.reason.empty())
    decision.reason = "there is no ServiceAccountImportPolicy, and without one nothing is allowed";
  return decision;
}

bool BoundsImports(const ImportPolicy& policy) {
  return std::any_of(policy.rules.begin(), policy.rules.end(),
                     [](const PolicyRule& rule) { return rule.max_imports > 0; });
}

}  // namespace k8s
