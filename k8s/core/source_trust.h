#ifndef K8S_CORE_SOURCE_TRUST_H_
#define K8S_CORE_SOURCE_TRUST_H_

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "k8s/core/json.h"

namespace k8s {

// "NAMESPACE" (all accounts there) or "NAMESPACE/NAME".
struct AccountScope {
  std::string namespace_name;
  std::string name;  // "" for all

  friend auto operator<=>(const AccountScope&, const AccountScope&) = default;
};

// INVALID_ARGUMENT: neither of the two forms.
absl::StatusOr<AccountScope> ParseAccountScope(const std::string& text);
std::string ToString(const AccountScope& scope);

// What a source's admin grants one target. It is kept as an annotation of the fence, so that it can be changed later.
struct SourceTrust {
  std::string target_name;             // the broker's identity there is ServiceAccount <target_name>
  std::vector<AccountScope> only;      // empty: every account that the fence lets pass
  std::vector<AccountScope> powerful;  // accounts that pass although they could escalate
  std::vector<AccountScope> denied;    // accounts that never pass
  std::vector<std::string> audiences;  // that tokens may be for; the API server's own among them
};

// The broker's identity, and its right to nothing but tokens of its own account: all that the first token needs.
std::vector<Json> BuildSourceIdentity(const std::string& target_name);

// The fence: an admission policy on TokenRequests of that identity alone, and its binding. Kubernetes 1.30 or newer.
//
// Never with paramRef: parameters are looked up before the match conditions, and a missing one would stop every
// TokenRequest of the cluster, those of its kubelets included.
std::vector<Json> BuildFence(const SourceTrust& trust);

// The right to tokens, and to watch the accounts: cluster-wide, or in each namespace of `only`.
std::vector<Json> BuildSourceGrants(const SourceTrust& trust);

// What BuildFence wrote down. INVALID_ARGUMENT: the policy is not one of ours.
absl::StatusOr<SourceTrust> ParseFence(const Json& policy);

// "mcsa:<target>", the name of the roles and bindings.
std::string SourceObjectName(const std::string& target_name);

// "mcsa-<target>", the name of the fence: admission policies, unlike roles, may have no colon in theirs.
std::string FenceName(const std::string& target_name);

}  // namespace k8s

#endif  // K8S_CORE_SOURCE_TRUST_H_
