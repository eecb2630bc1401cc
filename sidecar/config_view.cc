#include "sidecar/config_view.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "k8s/core/build_secret.h"
#include "k8s/core/names.h"

namespace sidecar {
namespace {

using ::mcsa::v1::Config;
using ::mcsa::v1::ImportError;

// A broker that is replaced, or a stream that has reached its age, is back long before that.
constexpr absl::Duration kConnectionGrace = absl::Seconds(30);

absl::Duration AgeOf(const ImportView& view, absl::Duration now) {
  return now - view.issued_at;
}

bool HasLife(const ImportView& view, absl::Duration now) {
  return view.config && !view.config->token.token.empty() && AgeOf(view, now) < view.config->token.lifetime;
}

void Take(ImportView& view, k8s::RemoteConfig config, absl::Duration age, absl::Duration now) {
  // Files do not say which cluster they are of.
  if (config.cluster_name.empty() && view.config) config.cluster_name = view.config->cluster_name;
  view.cluster = config.cluster;
  view.issued_at = now - age;
  view.config = std::move(config);
  view.stale_reason.clear();
  view.error.reset();
}

void Withdraw(ImportView& view, ImportError error) {
  if (view.config) view.withdrawn_until = std::max(view.withdrawn_until, view.config->token.issued_at);
  view.config.reset();
  view.error = std::move(error);
}

void TakeFiles(ImportView& view, k8s::RemoteConfig config, Instant now) {
  const absl::Time issued = config.token.issued_at;
  if (issued <= view.withdrawn_until || (view.config && issued <= view.config->token.issued_at)) return;
  const absl::Duration age = std::clamp(now.wall - issued, absl::ZeroDuration(), config.token.lifetime);
  Take(view, std::move(config), age, now.monotonic);
}

// Whether a credential that a stream brings first is from before what another replica told us.
bool IsBehind(const ImportView& view, const k8s::BoundToken& token, absl::Duration now) {
  if (view.config) return token.issued_at < view.config->token.issued_at && HasLife(view, now);
  return view.error && view.error->code() == ImportError::REVOKED && token.issued_at <= view.withdrawn_until;
}

std::string WhyStale(const ImportView& view, const Connection& connection) {
  if (!connection.up) {
    return absl::StrCat("There is no stream to the broker since ",
                        absl::FormatTime(absl::RFC3339_sec, connection.since.wall, absl::UTCTimeZone()), ": ",
                        connection.error);
  }
  if (!view.stale_reason.empty()) return view.stale_reason;
  if (view.error) return absl::StrCat(view.error->reason(), ": ", view.error->message());
  return "The broker has not renewed it in time";
}

bool IsCutOff(const Connection& connection, absl::Duration now) {
  return !connection.up && now >= connection.since.monotonic + kConnectionGrace;
}

}  // namespace

void ApplyOwnFiles(ImportView& view, const FileContents& files, Instant now) {
  absl::StatusOr<k8s::RemoteConfig> config = k8s::ParseRemoteConfig(view.name, "", files);
  if (config.ok()) TakeFiles(view, *std::move(config), now);
}

absl::Status ApplyMount(ImportView& view, const FileContents& files, const Connection& connection, Instant now) {
  absl::StatusOr<k8s::RemoteConfig> config = k8s::ParseRemoteConfig(view.name, "", files);
  if (absl::IsNotFound(config.status())) {
    // While the stream is up the broker's word is newer. A Secret that never held a token says nothing.
    const bool lost = !view.mounted_token.empty();
    view.mounted_token = k8s::SecretString();
    if (!lost || connection.up) return absl::OkStatus();
    ImportError error;
    error.set_code(ImportError::REVOKED);
    error.set_reason("Revoked");
    error.set_message(absl::StrCat("The token was removed from the import's Secret; see kubectl describe ",
                                   "serviceaccountimport ", view.name));
    Withdraw(view, std::move(error));
    return absl::OkStatus();
  }
  if (!config.ok()) return config.status();
  view.mounted_token = config->token.token;
  if (!connection.up && view.config && view.config->token.token == config->token.token) {
    view.cluster = view.config->cluster = config->cluster;  // a new CA or address, without a new token
    return absl::OkStatus();
  }
  TakeFiles(view, *std::move(config), now);
  return absl::OkStatus();
}

absl::Status ApplyMessage(ImportView& view, const mcsa::v1::ImportState& message, Instant now) {
  if (message.has_error()) {
    switch (message.error().code()) {
      case ImportError::REVOKED:
      case ImportError::NOT_FOUND:
      case ImportError::NOT_ALLOWED:
        view.heard = true;
        Withdraw(view, message.error());
        break;
      default:
        view.error = message.error();
    }
    return absl::OkStatus();
  }
  if (!message.has_config()) return absl::OkStatus();
  absl::StatusOr<k8s::RemoteConfig> config = k8s::ParseConfig(message.config());
  if (!config.ok()) return config.status();
  // A stream is never behind itself, whatever a source's clock that was set makes of its tokens.
  if (!std::exchange(view.heard, true) && IsBehind(view, config->token, now.monotonic)) return absl::OkStatus();
  if (config->token.token.empty() && view.config && config->token.issued_at == view.config->token.issued_at) {
    config->token.token = view.config->token.token;  // what we show as a file stays what it was
  }
  const absl::Duration age = k8s::TokenAgeOf(message.config(), config->token, now.wall);
  Take(view, *std::move(config), age, now.monotonic);
  if (message.config().state() == Config::STALE) view.stale_reason = message.config().state_reason();
  return absl::OkStatus();
}

void ForgetStream(ImportView& view) {
  view.heard = false;
}

void FillImportState(const ImportView& view, const Connection& connection, absl::Duration now,
                     mcsa::v1::ImportState& message) {
  message.set_name(view.name);
  if (!view.config) {
    if (view.error) {
      *message.mutable_error() = *view.error;
      return;
    }
    message.mutable_error()->set_code(ImportError::NOT_READY);
    message.mutable_error()->set_reason("Pending");
    message.mutable_error()->set_message(
        connection.up ? "The broker has sent no token yet; it is served as soon as it comes"
                      : absl::StrCat("There is no token yet, and no stream to the broker: ", connection.error));
    return;
  }
  Config& config = *message.mutable_config();
  const std::string why = WhyStale(view, connection);
  k8s::FillConfig(*view.config, AgeOf(view, now), why, config);
  if (config.state() == Config::FRESH && (!view.stale_reason.empty() || IsCutOff(connection, now))) {
    config.set_state(Config::STALE);
    config.set_state_reason(why);
  }
}

absl::Duration NextChange(const ImportView& view, const Connection& connection, absl::Duration now) {
  absl::Duration next = absl::InfiniteDuration();
  if (!view.config) return next;
  const k8s::BoundToken& token = view.config->token;
  for (const absl::Duration change : {view.issued_at + k8s::StaleAge(token), view.issued_at + token.lifetime,
                                      connection.up ? next : connection.since.monotonic + kConnectionGrace}) {
    if (change > now) next = std::min(next, change - now);
  }
  return next;
}

std::optional<FileContents> BuildFiles(const ImportView& view, absl::Duration now) {
  if (HasLife(view, now)) return k8s::BuildSecretData(view.name, view.config->cluster, view.config->token.token);
  if (view.config || !view.error || view.error->code() == ImportError::NOT_READY ||
      view.error->code() == ImportError::CODE_UNSPECIFIED) {
    return std::nullopt;
  }
  FileContents files;
  if (view.cluster.server.empty()) return files;
  files = k8s::BuildSecretData(view.name, view.cluster, k8s::SecretString());
  for (const char* key : k8s::kCredentialKeys) files.erase(key);
  return files;
}

std::optional<k8s::KubeconfigEntry> BuildEntry(const ImportView& view, const std::string& plugin) {
  if (view.cluster.server.empty()) return std::nullopt;
  return k8s::KubeconfigEntry{.name = view.name,
                              .server = view.cluster.server,
                              .ca_bundle = view.cluster.ca_bundle,
                              .namespace_name = view.cluster.namespace_name,
                              .exec_command = plugin,
                              .exec_args = {view.name}};
}

}  // namespace sidecar
