#ifndef EXAMPLES_CPP_LIST_PODS_H_
#define EXAMPLES_CPP_LIST_PODS_H_

#include <absl/status/status.h>

#include <ostream>

#include "client/cpp/remote_config.h"

namespace examples {

// Lists the pods of the config's own namespace and prints server, namespace and the pods' names, a line each.
//
// Errors: those of RemoteConfig; UNAVAILABLE, no answer; UNAUTHENTICATED and PERMISSION_DENIED, the server refused.
absl::Status ListPods(const mcsa::RemoteConfig& config, std::ostream& out);

}  // namespace examples

#endif  // EXAMPLES_CPP_LIST_PODS_H_
