#include "k8s/core/remote_config.h"

#include <absl/status/status.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <openssl/sha.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "k8s/core/names.h"

namespace k8s {
namespace {

constexpr double kStaleFraction = 0.7;
// 64 bits: two versions of one import do not collide by chance, and nobody gains by making them.
constexpr size_t kVersionBytes = 8;
constexpr size_t kMaxNameBytes = 253;  // of an import; what a caller asks for may be longer

void SetTimestamp(absl::Time time, google::protobuf::Timestamp& message) {
  message.set_seconds(absl::ToUnixSeconds(time));  // claims have whole seconds
}

std::string Sha256(std::string_view text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return std::string(reinterpret_cast<const char*>(digest), sizeof(digest));
}

}  // namespace

absl::StatusOr<RemoteConfig> ParseRemoteConfig(const std::string& import_name, const std::string& cluster_name,
                                               const std::map<std::string, SecretString>& secret_data) {
  const auto text = [&](const char* key) {
    const auto found = secret_data.find(key);
    return found == secret_data.end() ? std::string() : std::string(found->second.Reveal());
  };
  const auto token = secret_data.find(kTokenKey);
  if (token == secret_data.end() || token->second.empty()) return absl::NotFoundError("there is no token");
  absl::StatusOr<BoundToken> parsed = ParseBoundToken(token->second);
  if (!parsed.ok()) return parsed.status();
  RemoteConfig config{
      .import_name = import_name,
      .cluster_name = cluster_name,
      .cluster = {.server = text(kServerKey), .ca_bundle = text(kCaKey), .namespace_name = text(kNamespaceKey)},
      .token = *std::move(parsed)};
  if (config.cluster.server.empty()) return absl::InvalidArgumentError("there is no server");
  return config;
}

absl::Duration StaleAge(const BoundToken& token) {
  return token.lifetime * kStaleFraction;
}

mcsa::v1::Config::State StateAtAge(const BoundToken& token, absl::Duration age) {
  if (age >= token.lifetime) return mcsa::v1::Config::EXPIRED;
  return age >= StaleAge(token) ? mcsa::v1::Config::STALE : mcsa::v1::Config::FRESH;
}

void FillConfig(const RemoteConfig& config, absl::Duration age, const std::string& why, mcsa::v1::Config& message) {
  const BoundToken& token = config.token;
  message.set_name(config.import_name);
  message.set_namespace_(config.cluster.namespace_name);
  message.set_cluster_name(config.cluster_name);
  message.set_server(config.cluster.server);
  message.set_ca_bundle(config.cluster.ca_bundle);
  message.set_token_id(token.token_id);
  for (const std::string& audience : token.audiences) message.add_audiences(audience);
  SetTimestamp(token.issued_at, *message.mutable_issued_at());
  SetTimestamp(token.expires_at, *message.mutable_expires_at());
  SetDuration(token.lifetime - age, *message.mutable_expires_in());
  message.set_version(ConfigVersion(config));
  message.set_state(StateAtAge(token, age));
  if (message.state() != mcsa::v1::Config::EXPIRED) message.set_token(token.token.Reveal().data(), token.token.size());
  if (message.state() != mcsa::v1::Config::FRESH) message.set_state_reason(why);
}

void SetDuration(absl::Duration duration, google::protobuf::Duration& message) {
  constexpr int64_t kNanosecondsOfASecond = 1'000'000'000;
  const int64_t nanoseconds = absl::ToInt64Nanoseconds(duration);  // 292 years
  message.set_seconds(nanoseconds / kNanosecondsOfASecond);
  message.set_nanos(static_cast<int32_t>(nanoseconds % kNanosecondsOfASecond));
}

absl::StatusOr<RemoteConfig> ParseConfig(const mcsa::v1::Config& message) {
  RemoteConfig config{
      .import_name = message.name(),
      .cluster_name = message.cluster_name(),
      .cluster = {
          .server = message.server(), .ca_bundle = message.ca_bundle(), .namespace_name = message.namespace_()}};
  BoundToken& token = config.token;
  token.token = SecretString(message.token());
  token.issued_at = absl::FromUnixSeconds(message.issued_at().seconds());
  token.expires_at = absl::FromUnixSeconds(message.expires_at().seconds());
  token.lifetime = token.expires_at - token.issued_at;
  token.token_id = message.token_id();
  token.audiences.assign(message.audiences().begin(), message.audiences().end());
  if (config.cluster.server.empty()) return absl::InvalidArgumentError("there is no server");
  if (token.lifetime <= absl::ZeroDuration()) return absl::InvalidArgumentError("the token has no life");
  return config;
}

absl::Duration TokenAgeOf(const mcsa::v1::Config& message, const BoundToken& token, absl::Time now) {
  absl::Duration age = now - token.issued_at;
  if (message.has_expires_in()) {
    age = token.lifetime - absl::Seconds(message.expires_in().seconds()) -
          absl::Nanoseconds(message.expires_in().nanos());
  }
  return std::clamp(age, absl::ZeroDuration(), token.lifetime);
}

absl::Status ToStatus(const std::string& import_name, const mcsa::v1::ImportError& error) {
  using mcsa::v1::ImportError;
  const std::string text = absl::StrCat(import_name, ": ", error.reason(), ": ", error.message());
  switch (error.code()) {
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

mcsa::v1::ImportError NotListedByPod(const std::string& import_name) {
  mcsa::v1::ImportError error;
  error.set_code(mcsa::v1::ImportError::NOT_ALLOWED);
  error.set_reason("NotListedByPod");
  error.set_message(absl::StrCat("The pod does not list import \"", import_name.substr(0, kMaxNameBytes),
                                 "\"; name it in the annotation ", kImportNameKey, " of a new pod"));
  return error;
}

std::string ConfigVersion(const RemoteConfig& config) {
  const RemoteCluster& cluster = config.cluster;
  // The token by its hash, so that no copy of it is left in a plain string.
  return absl::BytesToHexString(
      Sha256(absl::StrCat(cluster.server, "\n", cluster.namespace_name, "\n",
                          absl::BytesToHexString(Sha256(config.token.token.Reveal())), "\n", cluster.ca_bundle))
          .substr(0, kVersionBytes));
}

}  // namespace k8s
