#ifndef K8S_API_HTTP_TRANSPORT_H_
#define K8S_API_HTTP_TRANSPORT_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "k8s/core/secret_string.h"

namespace k8s {

// The largest answer that is read; a longer one is an error, so that no server can fill our memory.
inline constexpr size_t kMaxResponseBytes = 32 << 20;

struct HttpResponse {
  int status = 0;
  SecretString body;
  absl::Time date = absl::InfinitePast();  // the server's clock, from its Date header, if it sent one
  absl::Duration retry_after = absl::ZeroDuration();
};

struct HttpRequest {
  std::string method;  // "GET", "POST", "PUT", "PATCH", "DELETE"
  std::string path;    // below the server's own path, with the query: "/api/v1/pods?limit=500"
  std::string accept = "application/json";
  std::string content_type;                       // of `body`; empty without one
  SecretString body;                              // may hold a token, so it is wiped like one
  std::optional<SecretString> bearer;             // overrides the transport's own credential
  absl::Duration timeout = absl::Seconds(15);     // for the whole exchange; of a stream: for its head
  size_t max_response_bytes = kMaxResponseBytes;  // of a body that is not streamed
  // Of a stream, if it is not empty: called in the caller's thread when its head has come, without a body yet.
  std::function<void(const HttpResponse&)> on_head = nullptr;
};

// Ends a stream from another thread, also one that waits for bytes that never come.
class StreamCanceller {
 public:
  virtual ~StreamCanceller() = default;
  // Whether the stream should end. Polled at least each 500 ms.
  virtual bool Cancelled() const = 0;
};

// One request in, one response out, to one API server: the seam between us and an HTTP library. It neither retries nor
// follows redirects; a status code of the server is a response, not an error. Thread-safe.
//
// Errors: UNAVAILABLE, the server could not be reached (name, connection, TLS). DEADLINE_EXCEEDED, no answer in time.
// RESOURCE_EXHAUSTED, the answer was larger than max_response_bytes. UNAUTHENTICATED, no credential could be had (token
// file, exec plugin). Texts name the server and the cause, never a header.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;

  virtual absl::StatusOr<HttpResponse> Send(const HttpRequest& request) = 0;

  // Receives a response piece by piece. `on_data` runs in the caller's thread while the call blocks; when it returns
  // false the stream ends with OK. For a status other than 200 it is not called: the body is in the result.
  // `idle_timeout`: silence for so long is DEADLINE_EXCEEDED. ABORTED: after a head of 200 the connection broke. Ends
  // with CANCELLED within a second once `canceller` says so.
  virtual absl::StatusOr<HttpResponse> Stream(const HttpRequest& request, absl::Duration idle_timeout,
                                              const StreamCanceller& canceller,
                                              const std::function<bool(std::string_view)>& on_data) = 0;
};

}  // namespace k8s

#endif  // K8S_API_HTTP_TRANSPORT_H_
