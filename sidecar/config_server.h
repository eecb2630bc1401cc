#ifndef SIDECAR_CONFIG_SERVER_H_
#define SIDECAR_CONFIG_SERVER_H_

#include <absl/time/time.h>

#include <memory>
#include <vector>

#include "k8s/api/clock.h"
#include "mcsa/v1/config_service.pb.h"

namespace sidecar {

// The gRPC API of the socket: ConfigService and grpc.health.v1. It answers with what was published last, serialized
// once; only what is left of a token's life is written for each answer. Callers are not told apart: whoever was given
// the socket has what it serves.
//
// Borrows the clock. Thread-safe.
class ConfigServer {
 public:
  // What is served of one import.
  struct Import {
    mcsa::v1::ImportState state;
    absl::Duration ends_at = absl::InfiniteDuration();  // its token, on the monotonic clock
  };

  // Serves `imports`, which are in the order of their names, at once.
  ConfigServer(const k8s::Clock& clock, std::vector<Import> imports);
  ~ConfigServer();

  // Serves these from now on, and tells each stream whose imports changed. The same imports as at the start.
  void Publish(std::vector<Import> imports);

  // Takes over a connected socket. A peer that does not speak HTTP/2 within 10 s is cut off.
  void Serve(int socket);

 private:
  class Service;
  std::unique_ptr<Service> service_;
};

}  // namespace sidecar

#endif  // SIDECAR_CONFIG_SERVER_H_
