#ifndef BROKER_REACHABILITY_H_
#define BROKER_REACHABILITY_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "k8s/api/clock.h"
#include "k8s/api/http_transport.h"

namespace broker {

// Wraps a source's transport so that a dead cluster costs one connection attempt at a time, not one for each import:
// the first call that cannot reach it closes the gate, further calls fail at once, and a thread of its own probes until
// the server answers. Also learns the server's clock.
//
// A server counts as reachable until shown otherwise, so that the first import need not wait for a probe. Of a stream
// its head counts alone: an end after that, which may be a load balancer's doing, says nothing of the server.
// Borrows `transport` and `clock`. Thread-safe.
class Reachability : public k8s::HttpTransport {
 public:
  // `on_change` runs in the probing thread or in a caller's, without locks held, whenever error() turns.
  Reachability(k8s::HttpTransport& transport, const k8s::Clock& clock, std::function<void()> on_change);
  ~Reachability() override;

  absl::StatusOr<k8s::HttpResponse> Send(const k8s::HttpRequest& request) override;
  absl::StatusOr<k8s::HttpResponse> Stream(const k8s::HttpRequest& request, absl::Duration idle_timeout,
                                           const k8s::StreamCanceller& canceller,
                                           const std::function<bool(std::string_view)>& on_data) override;

  // OK, or why the server cannot be reached.
  absl::Status error() const;

  // The server's clock now; ours until it has answered once.
  absl::Time ServerNow() const;

 private:
  void Observe(const absl::StatusOr<k8s::HttpResponse>& response);
  void ProbeLoop();

  k8s::HttpTransport& transport_;
  const k8s::Clock& clock_;
  const std::function<void()> on_change_;

  mutable std::mutex mu_;
  std::condition_variable wake_;
  absl::Status error_;                                   // guarded by mu_
  absl::Duration server_offset_ = absl::ZeroDuration();  // guarded by mu_: server's clock minus ours
  bool stopping_ = false;                                // guarded by mu_
  std::thread prober_;
};

}  // namespace broker

#endif  // BROKER_REACHABILITY_H_
