#ifndef K8S_API_CLUSTER_CONNECTION_H_
#define K8S_API_CLUSTER_CONNECTION_H_

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <vector>

#include "k8s/api/client.h"
#include "k8s/api/credential_source.h"
#include "k8s/api/environment.h"
#include "k8s/api/http_transport.h"
#include "k8s/core/kubeconfig.h"

namespace k8s {

// Reads `path` (a colon list, as KUBECONFIG), or KUBECONFIG, or ~/.kube/config. Missing files of a list are skipped;
// NOT_FOUND names the places when there is none at all; PERMISSION_DENIED and INVALID_ARGUMENT name the bad file.
absl::StatusOr<Kubeconfig> LoadKubeconfig(const std::string& path, const Environment& environment);

// The access that a pod has to its own cluster: the ServiceAccount's files and KUBERNETES_SERVICE_*.
// FAILED_PRECONDITION outside a pod. The token file is read again as the kubelet renews it.
absl::StatusOr<ClusterAccess> InClusterAccess(const Environment& environment);

// One API server, ready to be called: transport (TLS, proxy, credential) and client. Thread-safe.
struct ClusterConnection {
  std::unique_ptr<HttpTransport> transport;
  std::unique_ptr<Client> client;
};

// Dials nothing yet, nor runs an exec plugin: of one that fails the calls tell, each time until it works (see
// ExecLogin). INVALID_ARGUMENT: malformed certificate, key or URL; NOT_FOUND: a file it names is missing.
// Token files are re-read when they change.
absl::StatusOr<ClusterConnection> Connect(const ClusterAccess& access, const Environment& environment);

// The proxy to reach `access` by: its own, else HTTPS_PROXY unless NO_PROXY excepts the host, else "".
std::string ProxyFor(const ClusterAccess& access, const Environment& environment);

}  // namespace k8s

#endif  // K8S_API_CLUSTER_CONNECTION_H_
