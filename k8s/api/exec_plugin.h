#ifndef K8S_API_EXEC_PLUGIN_H_
#define K8S_API_EXEC_PLUGIN_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <string_view>

#include "k8s/core/kubeconfig.h"
#include "k8s/core/secret_string.h"

namespace k8s {

// What an exec plugin printed.
struct ExecCredential {
  SecretString token;
  std::string client_certificate;  // PEM
  SecretString client_key;         // PEM
  absl::Time expires_at = absl::InfiniteFuture();
};

// Parses a plugin's output, an ExecCredential of client.authentication.k8s.io.
absl::StatusOr<ExecCredential> ParseExecCredential(std::string_view output);

// Runs the plugin once, for at most `timeout`. Its standard error is ours. UNAUTHENTICATED names the command, its exit
// status and the kubeconfig's install hint; never its output.
absl::StatusOr<ExecCredential> RunExecPlugin(const ExecPlugin& plugin, absl::Duration timeout = absl::Minutes(1));

}  // namespace k8s

#endif  // K8S_API_EXEC_PLUGIN_H_
