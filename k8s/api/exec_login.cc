#include "k8s/api/exec_login.h"

#include <algorithm>

namespace k8s {
namespace {

constexpr absl::Duration kExpiryMargin = absl::Minutes(1);
constexpr absl::Duration kMinBackoff = absl::Seconds(1);
constexpr absl::Duration kMaxBackoff = absl::Minutes(1);

// A minute before the credential's end, or half of what it lives if that is less.
absl::Time RenewAt(const ExecCredential& credential, absl::Time now) {
  return credential.expires_at -
         std::min(kExpiryMargin, std::max(absl::ZeroDuration(), credential.expires_at - now) / 2);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ExecSession>> ExecLogin::Current(const ExecSession* refused) {
  std::lock_guard lock(mu_);
  const auto is_refused = [&] { return refused != nullptr && session_.get() == refused; };
  if (session_ != nullptr && !is_refused() && clock_.Now() < renew_at_) return session_;
  if (clock_.Monotonic() >= next_run_) RunLocked(/*again=*/is_refused() || !error_.ok());
  if (error_.ok()) return session_;
  if (session_ != nullptr && (is_refused() || clock_.Now() >= session_->credential.expires_at)) session_ = nullptr;
  if (session_ == nullptr) return error_;
  return session_;
}

void ExecLogin::RunLocked(bool again) {
  absl::StatusOr<ExecSession> session = run_();
  error_ = session.status();
  if (session.ok()) {
    session_ = std::make_shared<const ExecSession>(*std::move(session));
    renew_at_ = RenewAt(session_->credential, clock_.Now());
  }
  delay_ = error_.ok() && !again ? absl::ZeroDuration() : std::clamp(delay_ * 2, kMinBackoff, kMaxBackoff);
  next_run_ = clock_.Monotonic() + std::max(delay_, kMinBackoff);
}

}  // namespace k8s
