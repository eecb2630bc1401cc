#ifndef SIDECAR_SIDECAR_H_
#define SIDECAR_SIDECAR_H_

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "k8s/api/clock.h"
#include "sidecar/config_server.h"
#include "sidecar/config_view.h"
#include "sidecar/directory_watch.h"
#include "sidecar/options.h"

namespace sidecar {

// Gathers what the mounted Secrets and the broker's stream say, and shows the view of it as files and on the socket.
// One loop in one thread does it all; gRPC's threads read what was published, and the stream's thread leaves its
// messages in a mailbox.
//
// Borrows the clock.
class Sidecar {
 public:
  Sidecar(Options options, const k8s::Clock& clock);
  ~Sidecar();

  // Serves until `stop_signals` (a signalfd) is readable. An error that leaves nothing to serve by: no socket.
  absl::Status Run(int stop_signals);

 private:
  // What streams said, and how they ended, in that order: what comes after an end is of another replica.
  using Mail = std::vector<std::variant<mcsa::v1::WatchConfigsResponse, absl::Status>>;

  Instant Now() const { return {clock_.Now(), clock_.Monotonic()}; }
  void Prepare();
  void StartStream();
  void ReadMounts();
  bool ReadMail();
  void Hear(const mcsa::v1::WatchConfigsResponse& message);
  bool HearOfTheEnd(const absl::Status& status);
  void Publish();
  void WriteOut(absl::Duration now);
  std::vector<ConfigServer::Import> Serve(absl::Duration now) const;
  void LogChanges(const std::vector<ConfigServer::Import>& imports);
  void Accept(int listener);
  void Forget(int connection);
  int MillisecondsToNextChange() const;

  const Options options_;
  const k8s::Clock& clock_;
  const int wake_up_;  // an eventfd: there is mail
  const int epoll_;
  std::vector<ImportView> views_;  // in the order of their names
  Connection connection_;
  std::optional<DirectoryWatch> mounts_;
  std::unique_ptr<ConfigServer> server_;
  size_t connections_ = 0;
  std::map<std::string, FileContents> written_;  // by import; empty: unknown, or a withdrawn one's
  bool plugin_copied_ = false;
  // When something is due, monotonic: what is served changes by time; mounts are looked at, while there is no stream.
  absl::Duration changes_at_ = absl::InfiniteDuration();
  absl::Duration read_mounts_at_;
  std::optional<absl::Duration> write_again_at_;   // monotonic, after an error
  std::optional<absl::Duration> startup_ends_at_;  // monotonic
  std::vector<std::string> logged_;                // the state of each import that was logged last
  std::string logged_error_;                       // of the stream
  std::string logged_write_error_;

  std::mutex mu_;
  Mail mail_;  // guarded by mu_
};

}  // namespace sidecar

#endif  // SIDECAR_SIDECAR_H_
