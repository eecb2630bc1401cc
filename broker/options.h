#ifndef BROKER_OPTIONS_H_
#define BROKER_OPTIONS_H_

#include <absl/time/time.h>

#include <optional>
#include <set>
#include <string>

#include "k8s/api/log.h"
#include "k8s/core/lease.h"

namespace broker {

struct Options {
  std::string kubeconfig;      // empty: KUBECONFIG or ~/.kube/config
  std::string target_context;  // empty: the current one
  bool in_cluster = false;
  std::string own_namespace;
  std::set<std::string> source_imports;              // imports in own_namespace that are sources without the label
  std::string identity;                              // names this replica in the Lease
  std::string metrics_address;                       // empty: no endpoints
  std::string grpc_address;                          // empty: the gRPC API is not served
  absl::Duration ca_propagation = absl::Minutes(3);  // until a new CA has reached all who verify
  k8s::LogLevel log_level = k8s::LogLevel::kInfo;
  k8s::LeaseTiming lease;
};

// Parses the command line. If there is nothing left to do (--help, --version, a mistake), it has printed what there is
// to say, and the result is the exit status instead.
std::optional<int> ParseOptions(int argc, char** argv, Options& options);

}  // namespace broker

#endif  // BROKER_OPTIONS_H_
