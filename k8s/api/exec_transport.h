#ifndef K8S_API_EXEC_TRANSPORT_H_
#define K8S_API_EXEC_TRANSPORT_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "k8s/api/clock.h"
#include "k8s/api/credential_source.h"
#include "k8s/api/http_transport.h"

namespace k8s {

// The transport of a user that logs in by an exec plugin, which may fail at any time, at first too. The plugin is run
// when a request needs it: at first, before its credential ends, after a 401; each time with a transport of its own,
// since the credential may be a client certificate. While it fails, the one from before serves to its end, and then
// each call is UNAUTHENTICATED. Its failures, and credentials that the server refuses, are tried again with a back-off
// of 1 s to 1 min: a plugin may take its time, or ask a login service that counts.
//
// Borrows `clock`. Thread-safe; who needs the plugin waits for the one run there is. `run` and `build` are called by
// one thread at a time.
class ExecTransport final : public HttpTransport {
 public:
  // Both: UNAUTHENTICATED says what is wrong with the plugin.
  using Run = std::function<absl::StatusOr<ExecCredential>()>;
  // The transport that calls with that credential.
  using Build = std::function<absl::StatusOr<std::unique_ptr<HttpTransport>>(const ExecCredential&)>;

  // `plain` is for requests that bring a credential of their own: they need no plugin. Runs nothing yet.
  ExecTransport(std::unique_ptr<HttpTransport> plain, Run run, Build build, const Clock& clock)
      : plain_(std::move(plain)), run_(std::move(run)), build_(std::move(build)), clock_(clock) {}

  absl::StatusOr<HttpResponse> Send(const HttpRequest& request) override;
  absl::StatusOr<HttpResponse> Stream(const HttpRequest& request, absl::Duration idle_timeout,
                                      const StreamCanceller& canceller,
                                      const std::function<bool(std::string_view)>& on_data) override;

 private:
  using Call = std::function<absl::StatusOr<HttpResponse>(HttpTransport&)>;
  struct Session {
    std::unique_ptr<HttpTransport> transport;
    absl::Time expires_at, renew_at;
    std::atomic<bool> accepted = false;  // the server has answered otherwise than with 401
  };

  absl::StatusOr<HttpResponse> Exchange(const HttpRequest& request, const Call& call);
  static absl::StatusOr<HttpResponse> CallIn(Session& session, const Call& call);
  // The session to call in, after a 401 in `refused` if that is not null: the same again if there is no other for now.
  absl::StatusOr<std::shared_ptr<Session>> Current(const Session* refused);
  absl::Status RunLocked();

  const std::unique_ptr<HttpTransport> plain_;
  const Run run_;
  const Build build_;
  const Clock& clock_;

  std::mutex mu_;
  std::shared_ptr<Session> session_;                     // guarded by mu_; null without a credential
  absl::Status error_;                                   // guarded by mu_; of the latest run
  absl::Duration delay_ = absl::ZeroDuration();          // guarded by mu_; after the next run that is of no use
  absl::Duration next_run_ = -absl::InfiniteDuration();  // guarded by mu_; monotonic, not before
};

}  // namespace k8s

#endif  // K8S_API_EXEC_TRANSPORT_H_
