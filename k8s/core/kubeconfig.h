#ifndef K8S_CORE_KUBECONFIG_H_
#define K8S_CORE_KUBECONFIG_H_

#include <absl/status/statusor.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "k8s/core/secret_string.h"

namespace k8s {

// A program that prints a credential (client.authentication.k8s.io ExecCredential): how EKS, GKE and AKS log users in.
struct ExecPlugin {
  std::string api_version;  // "client.authentication.k8s.io/v1" or /v1beta1
  std::string command;      // relative paths with a slash are already joined with the kubeconfig's folder
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>> env;
  std::string install_hint;
  bool provide_cluster_info = false;  // whether KUBERNETES_EXEC_INFO is to have spec.cluster
  std::string cluster_info;           // that, as JSON; set by ExecPluginOf, which may read files
};

// What it takes to reach and authenticate to one API server: a context of a kubeconfig, resolved. Empty means unset;
// relative file paths are already joined with the kubeconfig's folder.
struct ClusterAccess {
  std::string server;   // "https://host:port/path"
  std::string ca_data;  // PEM
  std::string ca_file;
  std::string tls_server_name;
  std::string proxy_url;
  bool insecure_skip_tls_verify = false;

  SecretString token;
  std::string token_file;
  std::string client_certificate_data;  // PEM
  std::string client_certificate_file;
  SecretString client_key_data;  // PEM
  std::string client_key_file;
  std::optional<ExecPlugin> exec;
  std::string username;
  SecretString password;

  std::string cluster_name;    // the kubeconfig's name of the cluster
  std::string namespace_name;  // of the context; "default" if it names none
};

// A kubeconfig, or several merged as KUBECONFIG=a:b merges them.
struct Kubeconfig {
  std::string current_context;
  std::map<std::string, ClusterAccess> contexts;
  // Contexts that cannot be used, and why: one bad context never hides the good ones.
  std::map<std::string, std::string> broken_contexts;
};

struct KubeconfigFile {
  std::string folder;  // what its relative paths start from
  SecretString text;   // YAML or JSON
  std::string name;    // for errors; may be empty
};

// Parses kubeconfigs and merges them as client-go does: of a cluster, user or context the first file to name it wins,
// and a context may name a cluster or user of another file. Certificates are decoded from base64. INVALID_ARGUMENT if
// one is no kubeconfig at all; the text names the file and the line, and no value.
absl::StatusOr<Kubeconfig> ParseKubeconfigs(const std::vector<KubeconfigFile>& files);

// Of one.
absl::StatusOr<Kubeconfig> ParseKubeconfig(std::string_view text, const std::string& folder);

// The access of `context`, or of the current one when empty. NOT_FOUND lists the contexts there are;
// FAILED_PRECONDITION says what is wrong with a broken one.
absl::StatusOr<ClusterAccess> SelectContext(const Kubeconfig& kubeconfig, const std::string& context);

}  // namespace k8s

#endif  // K8S_CORE_KUBECONFIG_H_
