#include "client/cpp/config_sources.h"

#include <absl/status/status.h>

#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "k8s/api/credential_source.h"
#include "k8s/api/mounted_import.h"

namespace mcsa {
namespace {

constexpr std::string_view kBearer = "Bearer ";

class ImportFiles final : public ConfigSource {
 public:
  ImportFiles(std::string directory, std::string name, k8s::Environment environment)
      : directory_(std::move(directory)), name_(std::move(name)), environment_(std::move(environment)) {}

  absl::StatusOr<ConfigSnapshot> Current() override {
    std::lock_guard lock(mu_);
    std::vector<k8s::FileStamp> stamp = k8s::MountedImportStamp(directory_, name_);
    if (current_ != nullptr && stamp == stamp_) return current_;
    absl::StatusOr<k8s::ClusterAccess> access = k8s::MountedImportAccess(directory_, name_);
    if (absl::IsUnavailable(access.status()) && current_ != nullptr) return current_;
    if (!access.ok()) return access.status();
    access->proxy_url = k8s::ProxyFor(*access, environment_);
    current_ = std::make_shared<const k8s::ClusterAccess>(*std::move(access));
    stamp_ = std::move(stamp);
    return current_;
  }

 private:
  const std::string directory_;
  const std::string name_;
  const k8s::Environment environment_;
  std::mutex mu_;
  std::vector<k8s::FileStamp> stamp_;  // guarded by mu_, as is the next
  ConfigSnapshot current_;
};

class Access final : public ConfigSource {
 public:
  // `access` holds no file paths but ca_file.
  Access(k8s::ClusterAccess access, std::unique_ptr<k8s::CredentialSource> credential)
      : access_(std::move(access)), credential_(std::move(credential)) {}

  absl::StatusOr<ConfigSnapshot> Current() override {
    std::lock_guard lock(mu_);
    absl::StatusOr<k8s::SecretString> authorization = credential_->Authorization();
    if (!authorization.ok()) return authorization.status();
    const k8s::FileStamp ca_stamp = access_.ca_file.empty() ? k8s::FileStamp() : k8s::StampOf(access_.ca_file);
    if (current_ != nullptr && *authorization == authorization_ && ca_stamp == ca_stamp_) return current_;
    absl::StatusOr<std::string> ca_bundle = k8s::CaBundleOf(access_);
    if (!ca_bundle.ok()) return ca_bundle.status();
    k8s::ClusterAccess next = access_;
    next.ca_data = *std::move(ca_bundle);
    next.ca_file.clear();
    if (const std::string_view text = authorization->Reveal(); text.substr(0, kBearer.size()) == kBearer) {
      next.token = k8s::SecretString(text.substr(kBearer.size()));
    }
    current_ = std::make_shared<const k8s::ClusterAccess>(std::move(next));
    authorization_ = *std::move(authorization);
    ca_stamp_ = ca_stamp;
    return current_;
  }

 private:
  const k8s::ClusterAccess access_;
  std::mutex mu_;
  const std::unique_ptr<k8s::CredentialSource> credential_;
  k8s::SecretString authorization_;  // guarded by mu_, as are the next
  k8s::FileStamp ca_stamp_;
  ConfigSnapshot current_;
};

absl::StatusOr<std::shared_ptr<ConfigSource>> Tried(std::shared_ptr<ConfigSource> source) {
  if (const auto first = source->Current(); !first.ok()) return first.status();
  return source;
}

}  // namespace

absl::StatusOr<std::shared_ptr<ConfigSource>> ImportFilesSource(const std::string& directory, const std::string& name,
                                                                const k8s::Environment& environment) {
  return Tried(std::make_shared<ImportFiles>(directory, name, environment));
}

absl::StatusOr<std::shared_ptr<ConfigSource>> AccessSource(const k8s::ClusterAccess& access,
                                                           const k8s::Environment& environment) {
  absl::StatusOr<k8s::ClientCredentials> credentials = k8s::CredentialsOf(access);
  if (!credentials.ok()) return credentials.status();
  k8s::ClusterAccess resolved = access;
  resolved.proxy_url = k8s::ProxyFor(access, environment);
  resolved.client_certificate_data = credentials->certificate;
  resolved.client_key_data = credentials->key;
  resolved.client_certificate_file.clear();
  resolved.client_key_file.clear();
  resolved.token_file.clear();
  resolved.exec.reset();
  return Tried(std::make_shared<Access>(std::move(resolved), std::move(credentials->authorization)));
}

}  // namespace mcsa
