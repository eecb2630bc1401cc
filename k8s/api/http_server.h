#ifndef K8S_API_HTTP_SERVER_H_
#define K8S_API_HTTP_SERVER_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "k8s/api/certificate_authority.h"

namespace k8s {

struct ServerRequest {
  std::string method;
  std::string path;
  std::string body;
  bool verified_client = false;  // showed a certificate signed by client_ca
};

struct ServerResponse {
  int status = 200;
  std::string content_type = "text/plain";
  std::string body;
};

struct HttpServerOptions {
  std::string address;    // "host:port", "[v6]:port" or ":port"; port 0 takes a free one
  bool tls = false;       // 1.3 only; connections are refused until SetCertificate
  std::string client_ca;  // PEM; clients may show a certificate of it (verified_client), others are served as well

  size_t max_connections = 512;
  size_t max_header_bytes = 16 << 10;
  size_t max_body_bytes = 3 << 20;       // an API server's own limit for a request
  size_t max_buffered_bytes = 48 << 20;  // bodies of all connections together
  // Requests in work at once; others wait. Of those with more than 64 KiB of body only one at a time is, since a
  // handler may need many times the body's bytes.
  size_t handler_threads = 16;
  absl::Duration handshake_timeout = absl::Seconds(5);
  absl::Duration request_timeout = absl::Seconds(10);  // from its first byte to its last, and again for the response
  // Longer than the 90 s for which an API server keeps an idle connection: who closes first may lose a request.
  absl::Duration idle_timeout = absl::Minutes(3);
};

// An HTTP/1.1 server that a few bad clients cannot stop: every connection is bounded in bytes and time, idle ones cost
// no thread, and where there are too many, the one that has been idle for longest goes (else the one that has been
// sending for longest). One thread does all I/O; handlers run in a pool of their own and may block.
class HttpServer {
 public:
  using Handler = std::function<ServerResponse(const ServerRequest&)>;

  // Listens when it returns. UNAVAILABLE: the address cannot be bound. INVALID_ARGUMENT: it is malformed, or client_ca.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options, Handler handler);
  virtual ~HttpServer() = default;  // closes all connections; waits for handlers

  virtual int port() const = 0;
  // Where a client on this machine reaches it: "127.0.0.1:8443".
  virtual std::string local_address() const = 0;

  // For connections from now on; those that are there go on with theirs. Thread-safe. INVALID_ARGUMENT: not a pair.
  virtual absl::Status SetCertificate(const CertificateAndKey& certificate) = 0;

  // Asks clients to leave: idle connections are closed, and others after the request that they are at. Goes on serving
  // new ones. Thread-safe.
  virtual void Drain() = 0;

  struct Stats {
    size_t connections = 0;
    size_t evicted = 0;  // since the start
  };
  virtual Stats stats() const = 0;  // thread-safe
};

}  // namespace k8s

#endif  // K8S_API_HTTP_SERVER_H_
