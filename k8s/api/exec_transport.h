#ifndef K8S_API_EXEC_TRANSPORT_H_
#define K8S_API_EXEC_TRANSPORT_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "k8s/api/clock.h"
#include "k8s/api/exec_login.h"
#include "k8s/api/http_transport.h"

namespace k8s {

// The transport of a user that logs in by an exec plugin: each session calls with a transport of its own, since its
// credential may be a client certificate. Without a session each call is UNAUTHENTICATED. Borrows `clock`. Thread-safe.
class ExecTransport final : public HttpTransport {
 public:
  // `plain` is for requests that bring a credential of their own: they need no plugin. `run` gives sessions with a
  // transport; it is not called yet.
  ExecTransport(std::unique_ptr<HttpTransport> plain, ExecLogin::Run run, const Clock& clock)
      : plain_(std::move(plain)), login_(std::move(run), clock) {}

  absl::StatusOr<HttpResponse> Send(const HttpRequest& request) override;
  absl::StatusOr<HttpResponse> Stream(const HttpRequest& request, absl::Duration idle_timeout,
                                      const StreamCanceller& canceller,
                                      const std::function<bool(std::string_view)>& on_data) override;

 private:
  using Call = std::function<absl::StatusOr<HttpResponse>(HttpTransport&)>;

  absl::StatusOr<HttpResponse> Exchange(const HttpRequest& request, const Call& call);

  const std::unique_ptr<HttpTransport> plain_;
  ExecLogin login_;
};

}  // namespace k8s

#endif  // K8S_API_EXEC_TRANSPORT_H_
