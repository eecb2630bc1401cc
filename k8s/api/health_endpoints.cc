#include "k8s/api/health_endpoints.h"

#include <absl/strings/str_cat.h>

#include <utility>

namespace k8s {

absl::StatusOr<std::unique_ptr<HttpServer>> StartHealthEndpoints(const std::string& address,
                                                                 std::function<std::string()> metrics,
                                                                 std::function<absl::Status()> ready) {
  return HttpServer::Start(
      {.address = address, .max_connections = 64, .max_body_bytes = 0, .handler_threads = 2},
      [metrics = std::move(metrics), ready = std::move(ready)](const ServerRequest& request) -> ServerResponse {
        if (request.path == "/healthz") return {.body = "ok\n"};
        if (request.path == "/metrics") return {.content_type = "text/plain; version=0.0.4", .body = metrics()};
        if (request.path != "/readyz") return {.status = 404, .body = "/metrics, /healthz, /readyz\n"};
        const absl::Status status = ready();
        if (status.ok()) return {.body = "ok\n"};
        return {.status = 503, .body = absl::StrCat(std::string(status.message()), "\n")};
      });
}

}  // namespace k8s
