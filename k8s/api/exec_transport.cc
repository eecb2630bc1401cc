#include "k8s/api/exec_transport.h"

namespace k8s {
namespace {

constexpr int kUnauthorized = 401;

}  // namespace

absl::StatusOr<HttpResponse> ExecTransport::Send(const HttpRequest& request) {
  return Exchange(request, [&](HttpTransport& transport) { return transport.Send(request); });
}

absl::StatusOr<HttpResponse> ExecTransport::Stream(const HttpRequest& request, absl::Duration idle_timeout,
                                                   const StreamCanceller& canceller,
                                                   const std::function<bool(std::string_view)>& on_data) {
  return Exchange(
      request, [&](HttpTransport& transport) { return transport.Stream(request, idle_timeout, canceller, on_data); });
}

absl::StatusOr<HttpResponse> ExecTransport::Exchange(const HttpRequest& request, const Call& call) {
  if (request.bearer) return call(*plain_);
  const absl::StatusOr<std::shared_ptr<const ExecSession>> session = login_.Current();
  if (!session.ok()) return session.status();
  absl::StatusOr<HttpResponse> response = call(*(*session)->transport);
  if (!response.ok() || response->status != kUnauthorized) return response;
  const absl::StatusOr<std::shared_ptr<const ExecSession>> next = login_.Current(session->get());
  if (!next.ok()) return next.status();
  if (*next == *session) return response;
  return call(*(*next)->transport);
}

}  // namespace k8s
