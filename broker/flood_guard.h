#ifndef BROKER_FLOOD_GUARD_H_
#define BROKER_FLOOD_GUARD_H_

#include <grpc/grpc_security.h>
#include <grpcpp/security/auth_context.h>
#include <grpcpp/support/server_interceptor.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "broker/caller_limits.h"
#include "k8s/api/clock.h"

namespace broker {

// Refuses the calls of a connection that makes calls without end, and resets the connection. HTTP/2's limit of calls at
// once counts none that its client resets at once (CVE-2023-44487), and gRPC 1.51 has no other: it reads such calls
// faster than its threads get rid of them.
//
// Calls of any service and method count. Borrows the clock. Thread-safe.
class FloodGuard {
 public:
  // Of one connection. A sidecar makes one call; what else a pod may ask for (CallerLimits) is less than this.
  static constexpr CallerLimits::Limits kLimits{.burst = 32, .calls_per_second = 10};

  explicit FloodGuard(const k8s::Clock& clock) : clock_(clock), limits_(kLimits) {}

  // What makes it work, both of one server. The processor is asked in the thread that reads a call, before the call
  // costs anything more, but does not know whose it is; the interceptors see admitted calls and tell it.
  static grpc_auth_metadata_processor ProcessorOf(const std::shared_ptr<FloodGuard>& guard);
  static std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> InterceptorsOf(
      std::shared_ptr<FloodGuard> guard);

 private:
  class Interceptors;

  bool Admit(grpc_auth_context* connection);
  void Introduce(const grpc::AuthContext& connection, const std::string& peer);

  const k8s::Clock& clock_;
  CallerLimits limits_;                                   // by kConnectionProperty
  std::mutex mu_;                                         // also of the properties that we give to connections
  uint64_t connections_ = 0;                              // guarded by mu_
  absl::Duration logged_at_ = -absl::InfiniteDuration();  // guarded by mu_
};

// Ends a TCP connection of this process at once, and throws away what was received and not yet read. gRPC has no
// function for that; it takes the connection for lost. `peer` is the other end as gRPC names it, "ipv4:10.0.0.7:41234"
// or "ipv6:%5Bfd00::7%5D:41234"; false: there is none such.
bool ResetConnection(const std::string& peer);

}  // namespace broker

#endif  // BROKER_FLOOD_GUARD_H_
