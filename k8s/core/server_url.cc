#include "k8s/core/server_url.h"

#include <absl/status/status.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <string_view>

namespace k8s {

absl::StatusOr<ServerUrl> ParseServerUrl(const std::string& text, const std::string& what) {
  const auto malformed = [&] { return absl::InvalidArgumentError(absl::StrCat(what, " is no http or https URL")); };
  ServerUrl url;
  std::string_view rest = text;
  if (rest.substr(0, 8) == "https://") {
    rest.remove_prefix(8);
  } else if (rest.substr(0, 7) == "http://") {
    rest.remove_prefix(7);
    url.tls = false;
  } else {
    return malformed();
  }
  const size_t slash = rest.find('/');
  std::string authority(rest.substr(0, slash));
  if (slash != std::string_view::npos) url.path = rest.substr(slash);
  while (!url.path.empty() && url.path.back() == '/') url.path.pop_back();
  if (const size_t at = authority.rfind('@'); at != std::string::npos) {
    url.user_info = authority.substr(0, at);
    authority.erase(0, at + 1);
  }
  // The colon that begins the port lies behind the bracket of an IPv6 address.
  const size_t bracket = authority.rfind(']');
  const size_t colon = authority.find(':', bracket == std::string::npos ? 0 : bracket);
  url.host = authority.substr(0, colon);
  if (bracket != std::string::npos) {
    if (authority.front() != '[') return malformed();
    url.host = authority.substr(1, bracket - 1);
  }
  url.port = url.tls ? 443 : 80;
  if (colon != std::string::npos &&
      (!absl::SimpleAtoi(authority.substr(colon + 1), &url.port) || url.port < 1 || url.port > 65535)) {
    return malformed();
  }
  if (url.host.empty()) return malformed();
  return url;
}

std::string HostAndPort(const ServerUrl& url) {
  const std::string host = absl::StrContains(url.host, ":") ? absl::StrCat("[", url.host, "]") : url.host;
  return absl::StrCat(host, ":", url.port);
}

}  // namespace k8s
