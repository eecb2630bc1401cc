#ifndef CLIENT_CLI_SOURCE_STATE_H_
#define CLIENT_CLI_SOURCE_STATE_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <vector>

#include "client/cli/cli.h"
#include "k8s/core/source_trust.h"

// What a source holds of one target: bootstrap, unbootstrap, allow and deny look before they change it. Errors are
// those of k8s::Client unless said otherwise.
namespace cli {

inline const k8s::Resource kFences{"admissionregistration.k8s.io", "v1", "validatingadmissionpolicies"};
inline const k8s::Resource kClusterRoles{"rbac.authorization.k8s.io", "v1", "clusterroles"};

// Whether the source serves ValidatingAdmissionPolicies v1.
absl::StatusOr<k8s::Fencing> FindFencing(const k8s::Client& source);

// What was granted, from the fence or else from the ClusterRole: either may have been deleted. Nothing: the target is
// not known here. FAILED_PRECONDITION: it is known, but not what was granted.
absl::StatusOr<std::optional<k8s::SourceTrust>> FindTrust(const k8s::Client& source, const std::string& target_name);

absl::Status UnknownTargetError(const std::string& target_name);

// The roles and bindings by which the target may take tokens, whoever wrote them: kind, name and namespace.
absl::StatusOr<std::vector<k8s::Json>> FindGrants(const k8s::Client& source, const std::string& target_name);

// Those of them that do not follow from `trust`.
absl::StatusOr<std::vector<k8s::Json>> FindGrantsBeyond(const k8s::Client& source, const k8s::SourceTrust& trust);
absl::Status DeleteGrantsBeyond(const k8s::Client& source, const k8s::SourceTrust& trust);

// The source as the broker sees it from here: the admin's way there, with `token` in place of the admin's credential. A
// client certificate would count before the token.
absl::StatusOr<k8s::ClusterConnection> ConnectAsBroker(const Cluster& source, const k8s::SecretString& token);

}  // namespace cli

#endif  // CLIENT_CLI_SOURCE_STATE_H_
