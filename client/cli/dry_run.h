#ifndef CLIENT_CLI_DRY_RUN_H_
#define CLIENT_CLI_DRY_RUN_H_

#include <absl/status/status.h>

#include <vector>

#include "client/cli/cli.h"
#include "k8s/core/json.h"

namespace cli {

// Has the API server apply the objects without writing them, and prints a line for each that would be created or
// changed ("cluster2: would create role/x in y"). Errors are those that the apply would meet. What lies in a namespace
// that is not there yet cannot be tried, and is said to be created.
absl::Status DryRun(const Cluster& cluster, const std::vector<k8s::Json>& objects);

// "cluster2: would delete role/x in y"
void PrintWould(const Cluster& cluster, const char* what, const k8s::Json& object);

}  // namespace cli

#endif  // CLIENT_CLI_DRY_RUN_H_
