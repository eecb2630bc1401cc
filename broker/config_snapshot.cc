#include "broker/config_snapshot.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "broker/plan_import.h"

namespace broker {
namespace {

using ::mcsa::v1::ImportError;

}  // namespace

ConfigSnapshot BuildSnapshot(const std::string& import_name, const k8s::ServiceAccountImport* import,
                             const k8s::ImportStatus& status, const absl::StatusOr<k8s::RemoteConfig>& config,
                             absl::Duration age, absl::Duration now, const ConfigSnapshot* before) {
  ConfigSnapshot snapshot{.import_name = import_name};
  if (import == nullptr) {
    snapshot.code = ImportError::NOT_FOUND;
    snapshot.reason = "ImportNotFound";
    snapshot.message = absl::StrCat("There is no ServiceAccountImport ", import_name,
                                    " in the pod's namespace; it is served once somebody creates it");
    return snapshot;
  }
  const k8s::Condition* ready = k8s::FindCondition(status, "Ready");
  if (config.ok()) {
    snapshot.config = *config;
    snapshot.issued_at = now - age;
    if (before != nullptr && before->config && before->config->token.token == config->token.token) {
      snapshot.issued_at = before->issued_at;
    }
    snapshot.why = ready != nullptr ? ready->message : "The broker has not looked at the import yet";
    return snapshot;
  }
  if (ready != nullptr && !ready->status) {
    snapshot.code = IsDecidedAgainst(ready->reason) ? ImportError::REVOKED : ImportError::NOT_READY;
    snapshot.reason = ready->reason;
    snapshot.message = ready->message;
  } else {
    snapshot.code = ImportError::NOT_READY;
    snapshot.reason = "Pending";
    snapshot.message = absl::StrCat("There is no token yet (", std::string(config.status().message()),
                                    "); it is sent as soon as there is one");
  }
  return snapshot;
}

bool SaysTheSame(const ConfigSnapshot& a, const ConfigSnapshot& b) {
  if (a.config.has_value() != b.config.has_value()) return false;
  if (a.config) {
    return a.config->cluster_name == b.config->cluster_name && a.config->token.lifetime == b.config->token.lifetime &&
           k8s::ConfigVersion(*a.config) == k8s::ConfigVersion(*b.config);
  }
  return a.code == b.code && a.reason == b.reason && a.message == b.message;
}

mcsa::v1::Config::State StateAt(const ConfigSnapshot& snapshot, absl::Duration now) {
  return snapshot.config ? k8s::StateAtAge(snapshot.config->token, now - snapshot.issued_at)
                         : mcsa::v1::Config::STATE_UNSPECIFIED;
}

absl::Duration NextChange(const ConfigSnapshot& snapshot, absl::Duration now) {
  if (!snapshot.config) return absl::InfiniteDuration();
  const absl::Duration age = now - snapshot.issued_at;
  for (absl::Duration change : {k8s::StaleAge(snapshot.config->token), snapshot.config->token.lifetime}) {
    if (age < change) return change - age;
  }
  return absl::InfiniteDuration();
}

void FillImportState(const ConfigSnapshot& snapshot, absl::Duration now, mcsa::v1::ImportState& message) {
  message.set_name(snapshot.import_name);
  if (snapshot.config) {
    k8s::FillConfig(*snapshot.config, now - snapshot.issued_at, snapshot.why, *message.mutable_config());
    return;
  }
  message.mutable_error()->set_code(snapshot.code);
  message.mutable_error()->set_reason(snapshot.reason);
  message.mutable_error()->set_message(snapshot.message);
}

grpc::Slice Encode(const ConfigSnapshot& snapshot, absl::Duration now) {
  return snapshot.encoded.Get(now, [&](mcsa::v1::ImportState& message) { FillImportState(snapshot, now, message); });
}

absl::Status ToStatus(const ConfigSnapshot& snapshot) {
  const std::string text = absl::StrCat(snapshot.import_name, ": ", snapshot.reason, ": ", snapshot.message);
  switch (snapshot.code) {
    case ImportError::NOT_FOUND:
      return absl::NotFoundError(text);
    case ImportError::REVOKED:
      return absl::FailedPreconditionError(text);
    case ImportError::NOT_ALLOWED:
      return absl::PermissionDeniedError(text);
    default:
      return absl::UnavailableError(text);
  }
}

}  // namespace broker
