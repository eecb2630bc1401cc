#ifndef K8S_API_EXEC_LOGIN_H_
#define K8S_API_EXEC_LOGIN_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "k8s/api/clock.h"
#include "k8s/api/exec_plugin.h"
#include "k8s/api/http_transport.h"

namespace k8s {

// What a run of an exec plugin gave.
struct ExecSession {
  ExecCredential credential;
  std::unique_ptr<HttpTransport> transport;  // calls with it; null where nobody asks for one
};

// A user that logs in by an exec plugin, which may fail at any time, at first too. It is run when its credential is
// needed: at first, before that ends, after a 401; never twice within a second. While it fails, the credential from
// before serves to its end, or to a 401. Its failures, and credentials that the server refuses, are tried again with a
// back-off of 1 s to 1 min: a plugin may take its time, or ask a login service that counts.
//
// Borrows `clock`. Thread-safe; who needs the plugin waits for the one run there is.
class ExecLogin {
 public:
  // Runs the plugin; called by one thread at a time. UNAUTHENTICATED says what is wrong with it.
  using Run = std::function<absl::StatusOr<ExecSession>()>;

  ExecLogin(Run run, const Clock& clock) : run_(std::move(run)), clock_(clock) {}

  // The session to call in. After the server's 401 in `refused`: another, or the same if there is no other for now.
  // Errors: those of the latest run.
  absl::StatusOr<std::shared_ptr<const ExecSession>> Current(const ExecSession* refused = nullptr);

 private:
  void RunLocked(bool again);

  const Run run_;
  const Clock& clock_;

  std::mutex mu_;
  std::shared_ptr<const ExecSession> session_;           // guarded by mu_; null without a credential
  absl::Time renew_at_;                                  // guarded by mu_; of session_
  absl::Status error_;                                   // guarded by mu_; of the latest run
  absl::Duration delay_ = absl::ZeroDuration();          // guarded by mu_; after the latest run
  absl::Duration next_run_ = -absl::InfiniteDuration();  // guarded by mu_; monotonic, not before
};

}  // namespace k8s

#endif  // K8S_API_EXEC_LOGIN_H_
