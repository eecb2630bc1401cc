#ifndef K8S_CORE_REMOTE_CONFIG_H_
#define K8S_CORE_REMOTE_CONFIG_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <map>
#include <string>

#include "k8s/core/bound_token.h"
#include "k8s/core/build_secret.h"
#include "k8s/core/secret_string.h"
#include "mcsa/v1/config_service.pb.h"

namespace k8s {

// One import's credential, as broker and sidecar hold it and send it on.
struct RemoteConfig {
  std::string import_name;
  std::string cluster_name;  // "" when not known
  RemoteCluster cluster;
  BoundToken token;
};

// Reads the keys of an import's Secret, which are also its files in a pod. NOT_FOUND: it holds no token, as after a
// revocation. INVALID_ARGUMENT: the token is no JWT, or there is no server.
absl::StatusOr<RemoteConfig> ParseRemoteConfig(const std::string& import_name, const std::string& cluster_name,
                                               const std::map<std::string, SecretString>& secret_data);

// The age from which on `token` counts as stale: it should have been replaced at RefreshAge, 60 % of its life at most,
// and a renewal has had another tenth to succeed.
absl::Duration StaleAge(const BoundToken& token);

// Never STATE_UNSPECIFIED.
mcsa::v1::Config::State StateAtAge(const BoundToken& token, absl::Duration age);

// The wire's form of it for a token of this age, by which its state goes; without the token once that is over. `why`
// becomes the state's reason unless it is fresh; a sentence.
void FillConfig(const RemoteConfig& config, absl::Duration age, const std::string& why, mcsa::v1::Config& message);

// Reads what FillConfig wrote. The token is empty when it was over. INVALID_ARGUMENT: no server, or no life.
absl::StatusOr<RemoteConfig> ParseConfig(const mcsa::v1::Config& message);

// How old the token is that `message` carries. Counted from `expires_in`, which holds whatever the clocks say; without
// it from `now`, our wall clock. Never negative, and at most the token's lifetime.
absl::Duration TokenAgeOf(const mcsa::v1::Config& message, const BoundToken& token, absl::Time now);

void SetDuration(absl::Duration duration, google::protobuf::Duration& message);

// What GetConfig fails with when `error` is all there is to say of an import.
absl::Status ToStatus(const std::string& import_name, const mcsa::v1::ImportError& error);

// Why a pod has nothing of an import that it does not list. `import_name` may be anything that a caller asks for.
mcsa::v1::ImportError NotListedByPod(const std::string& import_name);

// Config.version: a hash of cluster and token, hence the same wherever these are.
std::string ConfigVersion(const RemoteConfig& config);

}  // namespace k8s

#endif  // K8S_CORE_REMOTE_CONFIG_H_
