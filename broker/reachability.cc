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

}  // namespace

Reachability::Reachability(k8s::HttpTransport& transport, const k8s::Clock& clock, std::function<void()> on_change)
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
  if (absl::Status status = error(); !status.ok()) return status;
  absl::StatusOr<k8s::HttpResponse> response = transport_.Send(request);
  Observe(response);
  return response;
}

absl::StatusOr<k8s::HttpResponse> Reachability::Stream(const k8s::HttpRequest& request, absl::Duration idle_timeout,
                                                       const k8s::StreamCanceller& canceller,
                                                       const std::function<bool(std::string_view)>& on_data) {
  if (absl::Status status = error(); !status.ok()) return status;
  bool has_head = false;
  k8s::HttpRequest watched = request;
  watched.on_head = [&](const k8s::HttpResponse& head) {
    has_head = true;
    Observe(head);
    if (request.on_head) request.on_head(head);
  };
  absl::StatusOr<k8s::HttpResponse> response = transport_.Stream(watched, idle_timeout, canceller, on_data);
  if (!has_head) Observe(response);
  return response;
}

absl::Status Reachability::error() const {
  std::lock_guard lock(mu_);
  return error_;
}

absl::Time Reachability::ServerNow() const {
  std::lock_guard lock(mu_);
  return clock_.Now() + server_offset_;
}

void Reachability::Observe(const absl::StatusOr<k8s::HttpResponse>& response) {
  bool changed = false;
  {
    std::lock_guard lock(mu_);
    if (response.ok()) {
      changed = !error_.ok();
      error_ = absl::OkStatus();
      if (response->date != absl::InfinitePast()) {
        const absl::Duration offset = response->date - clock_.Now();
        if (absl::AbsDuration(offset - server_offset_) > kClockResolution) server_offset_ = offset;
      }
    } else if (IsOutOfReach(response.status())) {
      changed = error_.ok();
      error_ = response.status();
    }
  }
  if (!changed) return;
  wake_.notify_all();
  on_change_();
}

void Reachability::ProbeLoop() {
  absl::Duration delay = kFirstProbeDelay;
  std::unique_lock lock(mu_);
  while (true) {
    wake_.wait(lock, [&] { return stopping_ || !error_.ok(); });
    wake_.wait_for(lock, absl::ToChronoNanoseconds(delay), [&] { return stopping_; });
    if (stopping_) return;
    lock.unlock();
    Observe(transport_.Send({.method = "GET", .path = "/version", .timeout = kProbeTimeout}));
    lock.lock();
    delay = error_.ok() ? kFirstProbeDelay : std::min(delay * 2, kMaxProbeDelay);
  }
}

}  // namespace broker
