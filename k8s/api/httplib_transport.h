#ifndef K8S_API_HTTPLIB_TRANSPORT_H_
#define K8S_API_HTTPLIB_TRANSPORT_H_

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "k8s/api/credential_source.h"
#include "k8s/api/http_transport.h"
#include "k8s/api/httplib_client.h"

namespace k8s {

// HttpTransport on cpp-httplib, HTTP/1.1. Keeps idle connections for the next request; each request in flight has one
// of its own. A 401 is answered by one more try if the credential source has another credential.
class HttplibTransport final : public HttpTransport {
 public:
  // INVALID_ARGUMENT: the server's or the proxy's URL is malformed. Dials nothing.
  static absl::StatusOr<std::unique_ptr<HttplibTransport>> Create(HttplibOptions options,
                                                                  std::unique_ptr<CredentialSource> credential);
  ~HttplibTransport() override;

  absl::StatusOr<HttpResponse> Send(const HttpRequest& request) override;
  absl::StatusOr<HttpResponse> Stream(const HttpRequest& request, absl::Duration idle_timeout,
                                      const StreamCanceller& canceller,
                                      const std::function<bool(std::string_view)>& on_data) override;

 private:
  class Watchdog;
  struct Pool;
  explicit HttplibTransport(std::unique_ptr<Pool> pool);

  const std::unique_ptr<Pool> pool_;
};

}  // namespace k8s

#endif  // K8S_API_HTTPLIB_TRANSPORT_H_
