#include "k8s/api/exec_transport.h"

#include <algorithm>
#include <utility>

namespace k8s {
namespace {

constexpr absl::Duration kMinBackoff = absl::Seconds(1);
constexpr absl::Duration kMaxBackoff = absl::Minutes(1);
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
  const absl::StatusOr<std::shared_ptr<Session>> session = Current(nullptr);
  if (!session.ok()) return session.status();
  absl::StatusOr<HttpResponse> response = CallIn(**session, call);
  if (!response.ok() || response->status != kUnauthorized) return response;
  const absl::StatusOr<std::shared_ptr<Session>> next = Current(session->get());
  if (!next.ok()) return next.status();
  if (*next == *session) return response;
  return CallIn(**next, call);
}

absl::StatusOr<HttpResponse> ExecTransport::CallIn(Session& session, const Call& call) {
  absl::StatusOr<HttpResponse> response = call(*session.transport);
  if (response.ok() && response->status != kUnauthorized) session.accepted = true;
  return response;
}

absl::StatusOr<std::shared_ptr<ExecTransport::Session>> ExecTransport::Current(const Session* refused) {
  std::lock_guard lock(mu_);
  const bool is_refused = refused != nullptr && session_.get() == refused;
  if (session_ != nullptr && !is_refused && clock_.Now() < session_->renew_at) return session_;
  if (session_ != nullptr && session_->accepted && error_.ok()) {
    // The plugin's latest run was of use, so that this one is no second try.
    delay_ = absl::ZeroDuration();
  } else if (clock_.Monotonic() < next_run_) {
    if (session_ == nullptr) return error_;
    return session_;
  }
  error_ = RunLocked();
  delay_ = std::clamp(delay_ * 2, kMinBackoff, kMaxBackoff);
  next_run_ = clock_.Monotonic() + delay_;
  if (error_.ok()) return session_;
  if (session_ == nullptr || is_refused || clock_.Now() >= session_->expires_at) {
    session_ = nullptr;
    return error_;
  }
  return session_;
}

absl::Status ExecTransport::RunLocked() {
  const absl::StatusOr<ExecCredential> credential = run_();
  if (!credential.ok()) return credential.status();
  absl::StatusOr<std::unique_ptr<HttpTransport>> transport = build_(*credential);
  if (!transport.ok()) return transport.status();
  session_ = std::make_shared<Session>();
  session_->transport = *std::move(transport);
  session_->expires_at = credential->expires_at;
  session_->renew_at = RenewAt(*credential, clock_.Now());
  return absl::OkStatus();
}

}  // namespace k8s
