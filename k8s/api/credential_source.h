#ifndef K8S_API_CREDENTIAL_SOURCE_H_
#define K8S_API_CREDENTIAL_SOURCE_H_

#include <absl/status/statusor.h>

#include <memory>
#include <optional>
#include <string>

#include "k8s/api/exec_login.h"
#include "k8s/api/exec_plugin.h"
#include "k8s/core/kubeconfig.h"
#include "k8s/core/secret_string.h"

namespace k8s {

// Where the Authorization header of our requests comes from. Thread-safe.
class CredentialSource {
 public:
  virtual ~CredentialSource() = default;

  // The header's value, empty for none. UNAUTHENTICATED: it could not be had; the text names the file or program.
  virtual absl::StatusOr<SecretString> Authorization() = 0;

  // The server answered 401: forget what is cached. False if a new call could give nothing else.
  virtual bool Invalidate() { return false; }
};

// One that never changes: a token, or a user name and password.
std::unique_ptr<CredentialSource> StaticCredential(SecretString authorization);
SecretString BearerAuthorization(const SecretString& token);
SecretString AuthorizationOf(const ExecCredential& credential);  // empty without a token
SecretString BasicAuthorization(const std::string& username, const SecretString& password);

// A file that somebody renews (the kubelet). Read again when it has changed, which costs each call one stat; while it
// cannot be read, the last content serves on.
std::unique_ptr<CredentialSource> TokenFileCredential(std::string path);

// That of a login by an exec plugin, whose sessions need no transport.
std::unique_ptr<CredentialSource> ExecPluginCredential(std::unique_ptr<ExecLogin> login);

// The PEM certificates that a client of this server should trust, to hand on to others: ca_data, or the content of
// ca_file, or "" when the system's roots are meant.
absl::StatusOr<std::string> CaBundleOf(const ClusterAccess& access);

// The exec plugin that `access` logs in with, ready to be run; none if it names something more explicit. Errors: those
// of ReadFile.
absl::StatusOr<std::optional<ExecPlugin>> ExecPluginOf(const ClusterAccess& access);

// How a client shows who it is.
struct ClientCredentials {
  std::unique_ptr<CredentialSource> authorization;
  std::string certificate;  // PEM; empty for none
  SecretString key;         // PEM; empty for none
};

// Those of `access`, whose files it reads and whose exec plugin it runs once. What is more explicit wins, in the order
// of client-go: token file, token, user name, exec plugin. Errors: those of ReadFile and RunExecPlugin.
absl::StatusOr<ClientCredentials> CredentialsOf(const ClusterAccess& access);

}  // namespace k8s

#endif  // K8S_API_CREDENTIAL_SOURCE_H_
