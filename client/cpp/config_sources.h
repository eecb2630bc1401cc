#ifndef CLIENT_CPP_CONFIG_SOURCES_H_
#define CLIENT_CPP_CONFIG_SOURCES_H_

#include <absl/status/statusor.h>

#include <memory>
#include <string>

#include "client/cpp/remote_config.h"
#include "k8s/api/cluster_connection.h"

// The doors behind configs.h. Each function reads the first state, so that what it returns has worked once.
namespace mcsa {

// The files of a mounted import. When they cannot be read for a passing reason, the last state serves on.
absl::StatusOr<std::shared_ptr<ConfigSource>> ImportFilesSource(const std::string& directory, const std::string& name,
                                                                const k8s::Environment& environment);

// A kubeconfig's context, or the pod's own cluster. Its token file and CA file are followed, its exec plugin is run
// again before its credential ends; server and client certificate stay as they were.
absl::StatusOr<std::shared_ptr<ConfigSource>> AccessSource(const k8s::ClusterAccess& access,
                                                           const k8s::Environment& environment);

}  // namespace mcsa

#endif  // CLIENT_CPP_CONFIG_SOURCES_H_
