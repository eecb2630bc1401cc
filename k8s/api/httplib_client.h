#ifndef K8S_API_HTTPLIB_CLIENT_H_
#define K8S_API_HTTPLIB_CLIENT_H_

#include <absl/status/statusor.h>
#include <httplib.h>

#include <memory>
#include <string>

#include "k8s/api/tls_context.h"

namespace k8s {

struct HttplibOptions {
  std::string server;           // "https://host:port/path"
  std::string tls_server_name;  // instead of the host in `server`, for SNI and verification
  TlsContext tls;
  bool insecure_skip_tls_verify = false;
  std::string proxy_url;  // "http://user:password@host:port", or empty
};

// A client for one connection at a time, kept alive between requests. It knows nothing of the path in `server`, nor of
// a credential. INVALID_ARGUMENT: the server's or the proxy's URL is malformed, or there are both a tls_server_name and
// a proxy. Dials nothing, but looks up the server's address when tls_server_name is another host.
absl::StatusOr<std::unique_ptr<httplib::ClientImpl>> MakeHttplibClient(const HttplibOptions& options);

}  // namespace k8s

#endif  // K8S_API_HTTPLIB_CLIENT_H_
