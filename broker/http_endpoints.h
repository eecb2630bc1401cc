#ifndef BROKER_HTTP_ENDPOINTS_H_
#define BROKER_HTTP_ENDPOINTS_H_

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>

namespace broker {

// Serves /metrics, /healthz (the process lives) and /readyz (`ready` says so) over plain HTTP, for Prometheus and the
// kubelet. Nothing there is secret. Requests with a body or of more than a few kilobytes are refused.
class HttpEndpoints {
 public:
  // `address`: "host:port", "[v6]:port" or ":port"; port 0 takes a free one. UNAVAILABLE: it cannot be bound.
  static absl::StatusOr<std::unique_ptr<HttpEndpoints>> Start(const std::string& address,
                                                              std::function<std::string()> metrics,
                                                              std::function<bool()> ready);
  virtual ~HttpEndpoints() = default;

  virtual int port() const = 0;
};

}  // namespace broker

#endif  // BROKER_HTTP_ENDPOINTS_H_
