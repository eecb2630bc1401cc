#include "broker/reachability.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace broker {
namespace {

constexpr absl::Duration kProbeTimeout = absl::Seconds(5);
constexpr absl::Duration kFirstProbeDelay = absl::Seconds(1);
// A cluster that comes back is noticed within this time.
constexpr absl::Duration kMaxProbeDelay = absl::Seconds(10);
// The Date header has whole seconds; a smaller change of the offset is noise.
constexpr absl::Duration kClockResolution = absl::Seconds(2);

bool IsOutOfReach(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable || status.code() == absl::StatusCode::kDeadlineExceeded;
}

// The transport's own word: a server that refuses a credential answers 401, which is a response.
bool LacksCredential(const absl::Status& status) {
  return absl::IsUnauthenticated(status);
}

}  // namespace

Reachability::Reachability(k8s::HttpTransport& transport, const k8s::Clock& clock,
                           std::function<void(const absl::Status&)> on_change)
    : transport_(transport), clock_(clock), on_change_(std::move(on_change)), prober_([this] { ProbeLoop(); }) {}

Reachability::~Reachability() {
  {
    std::lock_guard lock(mu_);
    stopping_ = true;
  }
  wake_.notify_all();
  prober_.join();
}

absl::StatusOr<k8s::HttpResponse> Reachability::Send(const k8s::HttpRequest& request) {
  if (absl::Status status = Gate(request); !status.ok()) return status;
  absl::StatusOr<k8s::HttpResponse> response = transport_.Send(request);
  Observe(request, response);
  return response;
}

absl::StatusOr<k8s::HttpResponse> Reachability::Stream(const k8s::HttpRequest& request, absl::Duration idle_timeout,
                                                       const k8s::StreamCanceller& canceller,
                                                       const std::function<bool(std::string_view)>& on_data) {
  if (absl::Status status = Gate(request); !status.ok()) return status;
  bool has_head = false;
  k8s::HttpRequest watched = request;
  watched.on_head = [&](const k8s::HttpResponse& head) {
    has_head = true;
    Observe(request, head);
    if (request.on_head) request.on_head(head);
  };
  absl::StatusOr<k8s::HttpResponse> response = transport_.Stream(watched, idle_timeout, canceller, on_data);
  if (!has_head) Observe(request, response);
  return response;
}

absl::Status Reachability::error() const {
  std::lock_guard lock(mu_);
  return error_;
}

absl::Duration Reachability::OutOfReachFor() const {
  std::lock_guard lock(mu_);
  return error_.ok() ? absl::ZeroDuration() : clock_.Monotonic() - since_;
}

bool Reachability::HasAnswered() const {
  std::lock_guard lock(mu_);
  return has_answered_;
}

absl::Time Reachability::ServerNow() const {
  std::lock_guard lock(mu_);
  return clock_.Now() + server_offset_;
}

absl::Status Reachability::Gate(const k8s::HttpRequest& request) const {
  absl::Status status = error();
  return LacksCredential(status) && request.bearer ? absl::OkStatus() : status;
}

void Reachability::Observe(const k8s::HttpRequest& request, const absl::StatusOr<k8s::HttpResponse>& response) {
  absl::Status now = response.status();
  bool changed = false;
  {
    std::lock_guard lock(mu_);
    if (response.ok()) {
      has_answered_ = true;
      if (response->date != absl::InfinitePast()) {
        const absl::Duration offset = response->date - clock_.Now();
        if (absl::AbsDuration(offset - server_offset_) > kClockResolution) server_offset_ = offset;
      }
    } else if (!IsOutOfReach(now) && !LacksCredential(now)) {
      return;  // says nothing
    }
    // It brought a credential of its own, so that the one we lack is lacking still.
    if (request.bearer && LacksCredential(error_)) return;
    changed = error_.ok() != now.ok() || LacksCredential(error_) != LacksCredential(now);
    if (error_.ok() && !now.ok()) since_ = clock_.Monotonic();
    error_ = now;
  }
  if (!changed) return;
  wake_.notify_all();
  on_change_(now);
}

void Reachability::ProbeLoop() {
  absl::Duration delay = kFirstProbeDelay;
  std::unique_lock lock(mu_);
  while (true) {
    wake_.wait(lock, [&] { return stopping_ || !error_.ok(); });
    wake_.wait_for(lock, absl::ToChronoNanoseconds(delay), [&] { return stopping_; });
    if (stopping_) return;
    lock.unlock();
    const k8s::HttpRequest probe{.method = "GET", .path = "/version", .timeout = kProbeTimeout};
    Observe(probe, transport_.Send(probe));
    lock.lock();
    delay = error_.ok() ? kFirstProbeDelay : std::min(delay * 2, kMaxProbeDelay);
  }
}

}  // namespace broker
