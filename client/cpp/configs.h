#ifndef CLIENT_CPP_CONFIGS_H_
#define CLIENT_CPP_CONFIGS_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <map>
#include <string>

#include "client/cpp/remote_config.h"
#include "k8s/api/cluster_connection.h"

// Finds the clusters that this process may call. The functions have the names, and keep the order, of the predecessor's
// Go package: imports, then kubeconfig contexts, then the pod's own cluster. Where an import and a context have the
// same name, the import wins, in each of them. All are thread-safe, read a few files and dial nothing; a kubeconfig
// user with an exec plugin has it run once.
//
// Common errors. NOT_FOUND: there is none, and the text says where it was looked for. FAILED_PRECONDITION: there are
// several imports and one was asked for (the text lists them), or a file holds nonsense. UNAUTHENTICATED: an import has
// no token (not issued yet, or withdrawn). PERMISSION_DENIED: a file is not readable for this user. INVALID_ARGUMENT:
// a malformed name or kubeconfig.
namespace mcsa {

struct ConfigOptions {
  // Where the imports are mounted. Empty: the environment variable MCSA_IMPORTS_DIRECTORY, else
  // /var/run/secrets/admiralty.io/serviceaccountimports.
  std::string imports_directory;
  // A file, or a colon list. Empty: the environment variable KUBECONFIG, else ~/.kube/config.
  std::string kubeconfig;
  // Read once, when the options are made; a value, so that tests need no setenv.
  k8s::Environment environment = k8s::Environment::OfThisProcess();
};

// What could be had, and why the rest could not: one bad import or context never hides the good ones.
struct NamedConfigs {
  std::map<std::string, RemoteConfig> configs;
  // By name; one that is about no single name (a directory that cannot be listed) is under "imports" or "kubeconfig".
  std::map<std::string, absl::Status> errors;
};

// The only import. FAILED_PRECONDITION lists them if there are several.
absl::StatusOr<RemoteConfig> ServiceAccountImportConfigAndNamespace(const ConfigOptions& options = {});

// The import `name`.
absl::StatusOr<RemoteConfig> NamedServiceAccountImportConfigAndNamespace(const std::string& name,
                                                                         const ConfigOptions& options = {});

// All imports.
NamedConfigs AllServiceAccountImportConfigsAndNamespaces(const ConfigOptions& options = {});

// The only import; without any, the kubeconfig's current context; without a kubeconfig that has one, the pod's own
// cluster. What is there but broken is an error: nobody should call another cluster than he meant to.
absl::StatusOr<RemoteConfig> ConfigAndNamespace(const ConfigOptions& options = {});

// The import `name`, else the kubeconfig's context `name`.
absl::StatusOr<RemoteConfig> NamedConfigAndNamespace(const std::string& name, const ConfigOptions& options = {});

// All imports and all kubeconfig contexts. The pod's own cluster has no name and is not among them.
NamedConfigs AllNamedConfigsAndNamespaces(const ConfigOptions& options = {});

}  // namespace mcsa

#endif  // CLIENT_CPP_CONFIGS_H_
