#ifndef K8S_CORE_IMPORT_POLICY_H_
#define K8S_CORE_IMPORT_POLICY_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "k8s/core/json.h"
#include "k8s/core/service_account_import.h"

namespace k8s {

// One expression of a metav1.LabelSelector; matchLabels are parsed into these too.
struct LabelRequirement {
  enum class Operator { kIn, kNotIn, kExists, kDoesNotExist };
  std::string key;
  Operator op = Operator::kExists;
  std::vector<std::string> values;
};

// Which namespaces of the target may import what. Every list but `audiences` means "all" when empty, except that
// `source_namespaces` must then be replaced by `same_namespace`. Entries may end in '*', but for audiences.
struct PolicyRule {
  std::vector<LabelRequirement> target_namespace_labels;
  std::vector<std::string> target_namespace_names;
  std::vector<std::string> source_clusters;
  std::vector<std::string> source_namespaces;
  bool same_namespace = false;
  std::vector<std::string> account_names;
  std::vector<std::string> audiences;  // further ones beside the API server's own
  absl::Duration max_expiration = absl::InfiniteDuration();
  int64_t max_imports = 0;  // of one namespace that it matches, oldest first; 0 = no bound
};

struct ImportPolicy {
  std::string name;
  std::vector<PolicyRule> rules;
};

// INVALID_ARGUMENT names policy, rule and field. Such a policy grants nothing: a rule read wrongly could grant too
// much.
absl::StatusOr<ImportPolicy> ParseImportPolicy(const Json& object);

struct PolicyDecision {
  bool allowed = false;
  std::string rule;    // "namespace-sameness[0]": what allows it, for the audit line
  std::string reason;  // when refused: a sentence
};

// Policies add up: one rule that matches allows. Without any, everything is refused. A source namespace kube-* is
// allowed only by a rule that names it in full, and that of the broker's own identities by none. `namespace_labels` are
// those of the import's namespace. `older` are the imports of that namespace that came before; they matter only where a
// rule bounds their number.
PolicyDecision DecideImport(const ServiceAccountImport& import,
                            const std::map<std::string, std::string>& namespace_labels,
                            const std::vector<std::shared_ptr<const ServiceAccountImport>>& older,
                            const std::vector<ImportPolicy>& policies);

// Whether what the policy allows one import may depend on others.
bool BoundsImports(const ImportPolicy& policy);

}  // namespace k8s

#endif  // K8S_CORE_IMPORT_POLICY_H_
