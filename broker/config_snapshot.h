#ifndef BROKER_CONFIG_SNAPSHOT_H_
#define BROKER_CONFIG_SNAPSHOT_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <grpcpp/support/slice.h>

#include <optional>
#include <string>

#include "broker/encoded_state.h"
#include "k8s/core/remote_config.h"
#include "k8s/core/service_account_import.h"
#include "mcsa/v1/config_service.pb.h"

// PURE: what the gRPC API says of one import.
namespace broker {

// Everything there is to say, but for what the passing of time changes. Never changed once built, so it is shared by
// all who subscribed to the import.
struct ConfigSnapshot {
  std::string import_name;
  std::optional<k8s::RemoteConfig> config;          // without one, `code` says why
  absl::Duration issued_at = absl::ZeroDuration();  // on our monotonic clock
  std::string why;                                  // a sentence: why the token was not replaced in time
  mcsa::v1::ImportError::Code code = mcsa::v1::ImportError::CODE_UNSPECIFIED;
  std::string reason;
  std::string message;
  EncodedState encoded;  // of Encode
};

// `import` is null when there is none of that name. `status` is the import's, or for delivery Broker this replica's own
// finding. `config` is what its Secret holds, or NOT_FOUND, or why it could not be read; `age` is that of its token,
// and `now` the monotonic clock. `before`, if not null, is what was said until now: a token that is still the same
// keeps its place on the monotonic clock, however the source's clock is judged today.
ConfigSnapshot BuildSnapshot(const std::string& import_name, const k8s::ServiceAccountImport* import,
                             const k8s::ImportStatus& status, const absl::StatusOr<k8s::RemoteConfig>& config,
                             absl::Duration age, absl::Duration now, const ConfigSnapshot* before);

// Whether both say the same, so that nobody need hear it again.
bool SaysTheSame(const ConfigSnapshot& a, const ConfigSnapshot& b);

// STATE_UNSPECIFIED without a config.
mcsa::v1::Config::State StateAt(const ConfigSnapshot& snapshot, absl::Duration now);

// How long until the passing of time alone changes what it says (fresh, stale, expired); InfiniteDuration for never.
absl::Duration NextChange(const ConfigSnapshot& snapshot, absl::Duration now);

void FillImportState(const ConfigSnapshot& snapshot, absl::Duration now, mcsa::v1::ImportState& message);

// A WatchConfigsResponse of this import alone, as bytes that are shared by all who ask for them in the same moment.
grpc::Slice Encode(const ConfigSnapshot& snapshot, absl::Duration now);

// The error of GetConfig where there is no config, with the code that config_service.proto promises.
absl::Status ToStatus(const ConfigSnapshot& snapshot);

}  // namespace broker

#endif  // BROKER_CONFIG_SNAPSHOT_H_
