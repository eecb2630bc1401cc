#ifndef CLIENT_CPP_HTTPLIB_CLIENT_H_
#define CLIENT_CPP_HTTPLIB_CLIENT_H_

#include <absl/status/statusor.h>
#include <httplib.h>

#include <memory>
#include <string>

#include "client/cpp/remote_config.h"

namespace mcsa {

// A cpp-httplib client for a config's API server:
//
//   absl::StatusOr<mcsa::HttplibClient> api = mcsa::MakeHttplibClient(*config);
//   if (!api.ok()) return api.status();
//   httplib::Result pods = api->client->Get(api->base_path + "/api/v1/namespaces/default/pods");
//
// Threads: as cpp-httplib's own clients, one request at a time; make one a thread.
struct HttplibClient {
  std::unique_ptr<httplib::ClientImpl> client;
  std::string base_path;  // goes before each path: that of the server's URL, "" for most servers
};

// The client trusts the config's CA, shows its client certificate and goes through its proxy, as they are now: make a
// new one when the server's certificate is no longer trusted. The Authorization header is the config's at each request,
// so that a renewed token needs nothing; a header that the caller sets wins. When no token can be had, the request goes
// without one and the server answers 401; config.token() tells why. Redirects are not followed. Paths must be escaped.
//
// Dials nothing. Errors: those of RemoteConfig::Current(); INVALID_ARGUMENT, the URL or a certificate is malformed, or
// there are both a proxy and a tls-server-name.
absl::StatusOr<HttplibClient> MakeHttplibClient(const RemoteConfig& config);

}  // namespace mcsa

#endif  // CLIENT_CPP_HTTPLIB_CLIENT_H_
