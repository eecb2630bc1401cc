#ifndef CLIENT_CPP_REMOTE_CONFIG_H_
#define CLIENT_CPP_REMOTE_CONFIG_H_

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <utility>

#include "k8s/core/kubeconfig.h"
#include "k8s/core/secret_string.h"

namespace mcsa {

// One consistent state of a config: which server, trusted by which CA, called as whom. All files are read in: of
// ClusterAccess only server, ca_data, tls_server_name, insecure_skip_tls_verify, proxy_url, namespace_name,
// cluster_name and the credential (token, or username and password, and the client certificate's data) are set.
using ConfigSnapshot = std::shared_ptr<const k8s::ClusterAccess>;

// Where a config comes from and is kept fresh: the seam between RemoteConfig and a door. Thread-safe.
class ConfigSource {
 public:
  virtual ~ConfigSource() = default;

  // What holds now. Cheap enough for each request: unchanged state is the same pointer. Never null.
  // UNAUTHENTICATED: the credential was withdrawn or never there. Other codes: it could not be read; try again.
  virtual absl::StatusOr<ConfigSnapshot> Current() = 0;
};

// How a process was given a config.
enum class Origin { kImport, kKubeconfig, kInCluster };

// An API server and the identity to call it with. Both change while the process runs, as tokens are renewed about every
// half hour: ask for what is needed at each request, and keep none of it.
//
//   absl::StatusOr<mcsa::RemoteConfig> config = mcsa::ServiceAccountImportConfigAndNamespace();
//   if (!config.ok()) return config.status();
//   absl::StatusOr<k8s::SecretString> token = config->token();
//
// httplib_client.h and curl_handle.h make ready clients of it. A value: copies share one source. Thread-safe.
class RemoteConfig {
 public:
  RemoteConfig(std::string name, Origin origin, std::shared_ptr<ConfigSource> source)
      : name_(std::move(name)), origin_(origin), source_(std::move(source)) {}

  // Of the import or of the kubeconfig's context; "in-cluster" for the pod's own cluster.
  const std::string& name() const { return name_; }
  Origin origin() const { return origin_; }

  // Each the same as in Current(), whose errors they have.
  absl::StatusOr<std::string> server() const;          // "https://host:port", perhaps with a path
  absl::StatusOr<std::string> ca_bundle() const;       // PEM; "" when the system's roots are meant
  absl::StatusOr<std::string> namespace_name() const;  // of the remote ServiceAccount, or the context's

  // The bearer token as of this call. An import's files are read again when they have changed, which costs four stat
  // calls. Empty for a kubeconfig user without one, who has a client certificate or a password.
  absl::StatusOr<k8s::SecretString> token() const;

  // The value for the Authorization header as of this call; "" for none.
  absl::StatusOr<k8s::SecretString> Authorization() const;

  // All of the above from one moment, for those who need more than one of them.
  absl::StatusOr<ConfigSnapshot> Current() const { return source_->Current(); }

 private:
  std::string name_;
  Origin origin_;
  std::shared_ptr<ConfigSource> source_;
};

}  // namespace mcsa

#endif  // CLIENT_CPP_REMOTE_CONFIG_H_
