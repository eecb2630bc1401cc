#ifndef K8S_CORE_SERVER_URL_H_
#define K8S_CORE_SERVER_URL_H_

#include <absl/status/statusor.h>

#include <string>

namespace k8s {

// The URL of an API server or of a proxy, taken apart.
struct ServerUrl {
  bool tls = true;
  std::string user_info;  // "user:password"
  std::string host;       // an IPv6 address without brackets
  int port = 0;
  std::string path;  // without a slash at its end
};

// INVALID_ARGUMENT if `text` is no http or https URL. The error names `what` alone: the URL may hold a password.
absl::StatusOr<ServerUrl> ParseServerUrl(const std::string& text, const std::string& what);

// "host:port", with brackets around an IPv6 address.
std::string HostAndPort(const ServerUrl& url);

}  // namespace k8s

#endif  // K8S_CORE_SERVER_URL_H_
