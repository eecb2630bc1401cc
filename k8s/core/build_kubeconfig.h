#ifndef K8S_CORE_BUILD_KUBECONFIG_H_
#define K8S_CORE_BUILD_KUBECONFIG_H_

#include <absl/types/span.h>

#include <string>
#include <vector>

#include "k8s/core/secret_string.h"

namespace k8s {

// One cluster, user and context, all of the same name. Exactly one of token, token_file and exec_command is set: with
// more, clients differ in which they take.
struct KubeconfigEntry {
  std::string name;
  std::string server;
  std::string ca_bundle;  // PEM; left out when empty
  std::string namespace_name;
  SecretString token;
  std::string token_file;
  std::string exec_command;  // absolute path of a plugin that speaks client.authentication.k8s.io/v1
  std::vector<std::string> exec_args;
};

// A kubeconfig of these entries as JSON, which every YAML parser reads; the first is its current context. A secret when
// an entry holds a token. Same entries, same bytes: some clients drop their caches when a kubeconfig changes.
SecretString BuildKubeconfig(absl::Span<const KubeconfigEntry> entries);

}  // namespace k8s

#endif  // K8S_CORE_BUILD_KUBECONFIG_H_
