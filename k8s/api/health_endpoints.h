#ifndef K8S_API_HEALTH_ENDPOINTS_H_
#define K8S_API_HEALTH_ENDPOINTS_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>

#include "k8s/api/http_server.h"

namespace k8s {

// Serves /metrics, /healthz (the process lives) and /readyz (`ready` is OK, else its message) over plain HTTP, for
// Prometheus and the kubelet: nothing there is secret. `address` and errors are those of HttpServer. Both functions
// are called in threads of the server, two at a time.
absl::StatusOr<std::unique_ptr<HttpServer>> StartHealthEndpoints(const std::string& address,
                                                                 std::function<std::string()> metrics,
                                                                 std::function<absl::Status()> ready);

}  // namespace k8s

#endif  // K8S_API_HEALTH_ENDPOINTS_H_
