#ifndef SIDECAR_UNIX_SOCKET_H_
#define SIDECAR_UNIX_SOCKET_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <sys/types.h>

#include <string>

namespace sidecar {

// Listens on a Unix socket that every user may connect to. One that a killed process left at `path` is replaced,
// without a moment in which there is none. The result is a file descriptor that does not block.
absl::StatusOr<int> ListenOn(const std::string& path);

// Who is at the other end, as the kernel recorded it at connect. For the log: in another user namespace they are other
// numbers, and every container of the pod may be root.
struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

// The next connection of `listener`, and its peer. UNAVAILABLE: there is none now.
absl::StatusOr<int> AcceptFrom(int listener, Peer& peer);

// Whether a gRPC server answers at `path`: sends it HTTP/2's first bytes and awaits its SETTINGS. Needs no gRPC, so
// that a probe costs little. UNAVAILABLE, nobody listens; DEADLINE_EXCEEDED, nobody answers; RESOURCE_EXHAUSTED, it
// closed the connection at once, as one that has too many.
absl::Status ProbeServer(const std::string& path, absl::Duration timeout);

}  // namespace sidecar

#endif  // SIDECAR_UNIX_SOCKET_H_
