#ifndef CLIENT_CPP_SIDECAR_CLIENT_H_
#define CLIENT_CPP_SIDECAR_CLIENT_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/cpp/configs.h"
#include "client/cpp/remote_config.h"

// For pods with the sidecar: configs that are pushed when they change, and calls that read no file. It links gRPC;
// configs.h, which reads the files that the sidecar keeps fresh, does not.
namespace mcsa {

struct SidecarOptions {
  // Empty: the environment variable MCSA_SOCKET, else /var/run/multicluster-service-account/mcsa.sock.
  std::string socket;
  // How long a sidecar may keep us waiting for an answer, or for a stream's first message, before the files are used.
  absl::Duration timeout = absl::Seconds(2);
  // Called for each import when the stream opens, and after each change, from a thread of the client, one call at a
  // time; nothing may be waited for in it. With a status instead of a config, when there is none (see Config).
  std::function<void(const std::string& import, const absl::StatusOr<ConfigSnapshot>&)> on_change;
  // Where the files are, and the environment.
  ConfigOptions configs;
};

// Holds one stream to the sidecar, which it opens again by itself. While there is none (no sidecar in this pod, or it
// is being restarted) all of this works from the files, so that nobody need care. Thread-safe.
class SidecarClient {
 public:
  // Returns when the stream has brought its first message, or when it is clear that the files must do; after
  // options.timeout at most. `imports` empty: all of the pod.
  explicit SidecarClient(std::vector<std::string> imports = {}, SidecarOptions options = {});
  SidecarClient(const SidecarClient&) = delete;
  SidecarClient& operator=(const SidecarClient&) = delete;
  // Ends the stream; on_change is not called afterwards. Configs that were handed out go on with the files.
  ~SidecarClient();

  // A config whose Current() is what the sidecar pushed last: no I/O, no waiting. Errors, also of its Current():
  // UNAUTHENTICATED, withdrawn or over. UNAVAILABLE, not there yet. NOT_FOUND, PERMISSION_DENIED: no import of this
  // pod.
  absl::StatusOr<RemoteConfig> Config(const std::string& import) const;

  // Asks the sidecar now; the files if it does not answer. For what the stream says, Config is quicker. Errors as
  // Config.
  absl::StatusOr<ConfigSnapshot> GetConfig(const std::string& import);

 private:
  class Stream;
  std::shared_ptr<Stream> stream_;
};

}  // namespace mcsa

#endif  // CLIENT_CPP_SIDECAR_CLIENT_H_
