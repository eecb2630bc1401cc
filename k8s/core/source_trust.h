#ifndef K8S_CORE_SOURCE_TRUST_H_
#define K8S_CORE_SOURCE_TRUST_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <optional>
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
std::vector<std::string> ToStrings(const std::vector<AccountScope>& scopes);

// What a source's admin grants one target.
struct SourceTrust {
  std::string target_name;             // the broker's identity there is ServiceAccount <target_name>
  std::vector<AccountScope> only;      // empty: every account that the fence lets pass
  std::vector<AccountScope> powerful;  // accounts that pass although they could take over the cluster
  std::vector<AccountScope> denied;    // accounts that never pass
  std::vector<std::string> audiences;  // that tokens may be for; the API server's own among them

  friend bool operator==(const SourceTrust&, const SourceTrust&) = default;
};

// Whether the source has ValidatingAdmissionPolicies (Kubernetes 1.30) to fence the broker in. Without, `only` is the
// one limit, and may not be empty.
enum class Fencing { kFence, kNone };

// What one run of bootstrap says. What it leaves unsaid stays as it was: a repair neither widens nor narrows.
struct TrustChange {
  std::optional<std::vector<AccountScope>> only;
  std::optional<std::vector<std::string>> audiences;
};
SourceTrust Change(SourceTrust before, const TrustChange& change);

void Allow(SourceTrust& trust, const AccountScope& account);
// Even though it could take over the cluster.
void AllowPowerful(SourceTrust& trust, const AccountScope& account);

// FAILED_PRECONDITION, and `trust` as it was: there is no fence, and taking the account out of `only` would either
// leave it granted with its whole namespace, or leave nothing, which would mean every account.
absl::Status Deny(SourceTrust& trust, const AccountScope& account, Fencing fencing);

// The trust is kept in the source, as an annotation of fence and ClusterRole.
inline constexpr char kTrustKey[] = "multicluster.admiralty.io/trust";
std::string SerializeTrust(const SourceTrust& trust);

// INVALID_ARGUMENT: the object has no such annotation, or one that is not ours.
absl::StatusOr<SourceTrust> ParseTrust(const Json& object);

}  // namespace k8s

#endif  // K8S_CORE_SOURCE_TRUST_H_
