#include "k8s/core/no_proxy.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <string>
#include <utility>
#include <vector>

namespace k8s {
namespace {

namespace ip = boost::asio::ip;

bool Contains(const std::string& network, const ip::address& address) {
  boost::system::error_code error;
  if (address.is_v4()) {
    const ip::network_v4 all = ip::make_network_v4(network, error);
    return !error && ip::network_v4(address.to_v4(), all.prefix_length()).canonical() == all.canonical();
  }
  const ip::network_v6 all = ip::make_network_v6(network, error);
  return !error && ip::network_v6(address.to_v6(), all.prefix_length()).canonical() == all.canonical();
}

// Takes ":port" off an entry. False if there is one and it is not `port`.
bool TakePort(std::string& entry, int port) {
  const size_t colon = entry.rfind(':');
  // An IPv6 address has several colons, and has a port only behind brackets.
  if (colon == std::string::npos || (entry.front() != '[' && entry.find(':') != colon)) return true;
  int wanted = 0;
  if (entry.back() != ']') {
    if (!absl::SimpleAtoi(entry.substr(colon + 1), &wanted) || wanted != port) return false;
    entry.resize(colon);
  }
  if (entry.front() == '[' && entry.back() == ']') entry = entry.substr(1, entry.size() - 2);
  return true;
}

}  // namespace

bool BypassesProxy(const ServerUrl& server, std::string_view no_proxy) {
  const std::string host = absl::AsciiStrToLower(server.host);
  boost::system::error_code no_address;
  const ip::address address = ip::make_address(host, no_address);
  if (host == "localhost" || (!no_address && address.is_loopback())) return true;
  const std::vector<std::string> entries = absl::StrSplit(absl::AsciiStrToLower({no_proxy.data(), no_proxy.size()}),
                                                          absl::ByAnyChar(", "), absl::SkipEmpty());
  return std::any_of(entries.begin(), entries.end(), [&](std::string entry) {
    if (entry == "*") return true;
    if (absl::StrContains(entry, "/")) return !no_address && Contains(entry, address);
    if (!TakePort(entry, server.port)) return false;
    if (absl::StartsWith(entry, "*.")) entry.erase(0, 1);
    return entry == host || absl::EndsWith(host, absl::StartsWith(entry, ".") ? entry : absl::StrCat(".", entry));
  });
}

}  // namespace k8s
