#ifndef K8S_API_CREDENTIAL_SOURCE_H_
#define K8S_API_CREDENTIAL_SOURCE_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "k8s/api/clock.h"
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
SecretString BasicAuthorization(const std::string& username, const SecretString& password);

// A file that somebody renews (the kubelet). Read again when it has changed, which costs each call one stat; while it
// cannot be read, the last content serves on.
std::unique_ptr<CredentialSource> TokenFileCredential(std::string path);

// What an exec plugin printed.
struct ExecCredential {
  SecretString token;
  std::string client_certificate;  // PEM
  SecretString client_key;         // PEM
  absl::Time expires_at = absl::InfiniteFuture();
};

// When to run the plugin again: a minute before the credential's end, or half of what it lives at `now` if that is
// less.
absl::Time RenewAt(const ExecCredential& credential, absl::Time now);

// Parses a plugin's output, an ExecCredential of client.authentication.k8s.io.
absl::StatusOr<ExecCredential> ParseExecCredential(std::string_view output);

// Runs the plugin once, for at most `timeout`. Its standard error is ours. UNAUTHENTICATED names the command, its exit
// status and the kubeconfig's install hint; never its output.
absl::StatusOr<ExecCredential> RunExecPlugin(const ExecPlugin& plugin, absl::Duration timeout = absl::Minutes(1));

// Runs the plugin when needed: at first, before its credential ends, after a 401. While it
// fails, the credential from before serves to its end. `first` saves the first run.
std::unique_ptr<CredentialSource> ExecPluginCredential(ExecPlugin plugin, ExecCredential first, const Clock& clock);

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
