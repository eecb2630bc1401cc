#include "client/cpp/remote_config.h"

#include "k8s/api/credential_source.h"

namespace mcsa {
namespace {

template <typename T>
absl::StatusOr<T> Field(const RemoteConfig& config, T k8s::ClusterAccess::*field) {
  absl::StatusOr<ConfigSnapshot> current = config.Current();
  if (!current.ok()) return current.status();
  return (**current).*field;
}

}  // namespace

absl::StatusOr<std::string> RemoteConfig::server() const {
  return Field(*this, &k8s::ClusterAccess::server);
}
absl::StatusOr<std::string> RemoteConfig::ca_bundle() const {
  return Field(*this, &k8s::ClusterAccess::ca_data);
}
absl::StatusOr<std::string> RemoteConfig::namespace_name() const {
  return Field(*this, &k8s::ClusterAccess::namespace_name);
}
absl::StatusOr<k8s::SecretString> RemoteConfig::token() const {
  return Field(*this, &k8s::ClusterAccess::token);
}

absl::StatusOr<k8s::SecretString> RemoteConfig::Authorization() const {
  absl::StatusOr<ConfigSnapshot> current = Current();
  if (!current.ok()) return current.status();
  const k8s::ClusterAccess& access = **current;
  if (!access.token.empty()) return k8s::BearerAuthorization(access.token);
  if (!access.username.empty()) return k8s::BasicAuthorization(access.username, access.password);
  return k8s::SecretString();
}

}  // namespace mcsa
