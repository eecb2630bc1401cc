#include "k8s/api/credential_source.h"

#include <absl/status/status.h>
#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <mutex>
#include <utility>

#include "k8s/api/clock.h"
#include "k8s/api/exec_plugin.h"
#include "k8s/api/read_file.h"
#include "k8s/core/json.h"

namespace k8s {
namespace {

class Static final : public CredentialSource {
 public:
  explicit Static(SecretString authorization) : authorization_(std::move(authorization)) {}
  absl::StatusOr<SecretString> Authorization() override { return authorization_; }

 private:
  const SecretString authorization_;
};

class TokenFile final : public CredentialSource {
 public:
  explicit TokenFile(std::string path) : path_(std::move(path)) {}

  absl::StatusOr<SecretString> Authorization() override {
    std::lock_guard lock(mu_);
    if (const FileStamp stamp = StampOf(path_); stamp != stamp_ || authorization_.empty()) Read(stamp);
    if (authorization_.empty()) return absl::UnauthenticatedError(absl::StrCat("cannot read a token from ", path_));
    return authorization_;
  }

  bool Invalidate() override {
    std::lock_guard lock(mu_);
    return StampOf(path_) != stamp_;
  }

 private:
  void Read(const FileStamp& stamp) {
    const absl::StatusOr<SecretString> content = ReadFile(path_);
    if (!content.ok()) return;
    const absl::string_view token = absl::StripAsciiWhitespace({content->Reveal().data(), content->size()});
    if (token.empty()) return;
    authorization_ = BearerAuthorization(SecretString({token.data(), token.size()}));
    stamp_ = stamp;  // taken before reading, so that a change meanwhile is seen the next time
  }

  const std::string path_;
  std::mutex mu_;
  SecretString authorization_;
  FileStamp stamp_;
};

class Exec final : public CredentialSource {
 public:
  explicit Exec(std::unique_ptr<ExecLogin> login) : login_(std::move(login)) {}

  absl::StatusOr<SecretString> Authorization() override {
    std::lock_guard lock(mu_);
    absl::StatusOr<std::shared_ptr<const ExecSession>> session = login_->Current();
    if (!session.ok()) return session.status();
    used_ = *std::move(session);
    return AuthorizationOf(used_->credential);
  }

  bool Invalidate() override {
    std::lock_guard lock(mu_);
    const absl::StatusOr<std::shared_ptr<const ExecSession>> next = login_->Current(used_.get());
    return next.ok() && *next != used_;
  }

 private:
  const std::unique_ptr<ExecLogin> login_;
  std::mutex mu_;
  std::shared_ptr<const ExecSession> used_;  // guarded by mu_; the latest handed out
};

// spec.cluster, which some plugins choose their answer by. Without `config`: none that we know needs it.
absl::StatusOr<std::string> ClusterInfo(const ClusterAccess& access) {
  const absl::StatusOr<std::string> ca = CaBundleOf(access);
  if (!ca.ok()) return ca.status();
  return boost::json::serialize(JsonObject{{"server", access.server},
                                           {"tls-server-name", access.tls_server_name},
                                           {"insecure-skip-tls-verify", access.insecure_skip_tls_verify},
                                           {"certificate-authority-data", absl::Base64Escape(*ca)},
                                           {"proxy-url", access.proxy_url}});
}

}  // namespace

std::unique_ptr<CredentialSource> StaticCredential(SecretString authorization) {
  return std::make_unique<Static>(std::move(authorization));
}

SecretString BearerAuthorization(const SecretString& token) {
  return SecretString(std::string("Bearer ").append(token.Reveal()));
}

SecretString AuthorizationOf(const ExecCredential& credential) {
  return credential.token.empty() ? SecretString() : BearerAuthorization(credential.token);
}

SecretString BasicAuthorization(const std::string& username, const SecretString& password) {
  return SecretString(
      absl::StrCat("Basic ", absl::Base64Escape(std::string(username).append(":").append(password.Reveal()))));
}

std::unique_ptr<CredentialSource> TokenFileCredential(std::string path) {
  return std::make_unique<TokenFile>(std::move(path));
}

std::unique_ptr<CredentialSource> ExecPluginCredential(std::unique_ptr<ExecLogin> login) {
  return std::make_unique<Exec>(std::move(login));
}

absl::StatusOr<std::string> CaBundleOf(const ClusterAccess& access) {
  if (!access.ca_data.empty() || access.ca_file.empty()) return access.ca_data;
  absl::StatusOr<SecretString> content = ReadFile(access.ca_file);
  if (!content.ok()) return content.status();
  return std::string(content->Reveal());
}

absl::StatusOr<std::optional<ExecPlugin>> ExecPluginOf(const ClusterAccess& access) {
  if (!access.exec || !access.token_file.empty() || !access.token.empty() || !access.username.empty()) {
    return std::nullopt;
  }
  ExecPlugin plugin = *access.exec;
  if (plugin.provide_cluster_info) {
    absl::StatusOr<std::string> info = ClusterInfo(access);
    if (!info.ok()) return info.status();
    plugin.cluster_info = *std::move(info);
  }
  return plugin;
}

absl::StatusOr<ClientCredentials> CredentialsOf(const ClusterAccess& access) {
  ClientCredentials credentials{.certificate = access.client_certificate_data, .key = access.client_key_data};
  if (credentials.certificate.empty() && !access.client_certificate_file.empty()) {
    absl::StatusOr<SecretString> certificate = ReadFile(access.client_certificate_file);
    if (!certificate.ok()) return certificate.status();
    credentials.certificate = certificate->Reveal();
  }
  if (credentials.key.empty() && !access.client_key_file.empty()) {
    absl::StatusOr<SecretString> key = ReadFile(access.client_key_file);
    if (!key.ok()) return key.status();
    credentials.key = *std::move(key);
  }
  if (!access.token_file.empty()) {
    credentials.authorization = TokenFileCredential(access.token_file);
  } else if (!access.token.empty()) {
    credentials.authorization = StaticCredential(BearerAuthorization(access.token));
  } else if (!access.username.empty()) {
    credentials.authorization = StaticCredential(BasicAuthorization(access.username, access.password));
  } else if (access.exec) {
    absl::StatusOr<std::optional<ExecPlugin>> plugin = ExecPluginOf(access);
    if (!plugin.ok()) return plugin.status();
    auto login = std::make_unique<ExecLogin>(
        [plugin = **std::move(plugin)]() -> absl::StatusOr<ExecSession> {
          absl::StatusOr<ExecCredential> credential = RunExecPlugin(plugin);
          if (!credential.ok()) return credential.status();
          return ExecSession{.credential = *std::move(credential)};
        },
        SystemClock());
    const absl::StatusOr<std::shared_ptr<const ExecSession>> first = login->Current();
    if (!first.ok()) return first.status();
    if (const ExecCredential& credential = (*first)->credential; !credential.client_certificate.empty()) {
      credentials.certificate = credential.client_certificate;
      credentials.key = credential.client_key;
    }
    credentials.authorization = ExecPluginCredential(std::move(login));
  } else {
    credentials.authorization = StaticCredential(SecretString());
  }
  return credentials;
}

}  // namespace k8s
