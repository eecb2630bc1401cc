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
// The same when the transport has no credential to call with (UNAUTHENTICATED: an exec plugin that fails), but for
// requests that bring their own.
//
// A server counts as reachable until shown otherwise, so that the first import need not wait for a probe. Of a stream
// its head counts alone: an end after that, which may be a load balancer's doing, says nothing of the server.
// Borrows `transport` and `clock`. Thread-safe.
class Reachability : public k8s::HttpTransport {
 public:
  // `on_change` runs in the probing thread or in a caller's, without locks held, whenever error() turns: with its new
  // value.
  Reachability(k8s::HttpTransport& transport, const k8s::Clock& clock,
               std::function<void(const absl::Status&)> on_change);
  ~Reachability() override;

  absl::StatusOr<k8s::HttpResponse> Send(const k8s::HttpRequest& request) override;
  absl::StatusOr<k8s::HttpResponse> Stream(const k8s::HttpRequest& request, absl::Duration idle_timeout,
                                           const k8s::StreamCanceller& canceller,
                                           const std::function<bool(std::string_view)>& on_data) override;

  // OK; or why the server cannot be reached; or UNAUTHENTICATED, why there is no credential for it.
  absl::Status error() const;

  // For how long error() has not been OK; ZeroDuration if it is.
  absl::Duration OutOfReachFor() const;

  // Whether the server has answered ever: until then, an error() that is OK means nothing.
  bool HasAnswered() const;

  // The server's clock now; ours until it has answered once.
  absl::Time ServerNow() const;

 private:
  absl::Status Gate(const k8s::HttpRequest& request) const;
  void Observe(const k8s::HttpRequest& request, const absl::StatusOr<k8s::HttpResponse>& response);
  void ProbeLoop();

  k8s::HttpTransport& transport_;
  const k8s::Clock& clock_;
  const std::function<void(const absl::Status&)> on_change_;

  mutable std::mutex mu_;
  std::condition_variable wake_;
  absl::Status error_;                                   // guarded by mu_
  absl::Duration since_ = absl::ZeroDuration();          // guarded by mu_: monotonic, when error_ ceased to be OK
  bool has_answered_ = false;                            // guarded by mu_
  absl::Duration server_offset_ = absl::ZeroDuration();  // guarded by mu_: server's clock minus ours
  bool stopping_ = false;                                // guarded by mu_
  std::thread prober_;
};

}  // namespace broker

#endif  // BROKER_REACHABILITY_H_
