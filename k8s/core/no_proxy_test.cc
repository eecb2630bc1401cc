#include "k8s/core/no_proxy.h"

#include <gtest/gtest.h>

namespace k8s {
namespace {

TEST(BypassesProxyTest, KnowsHostsDomainsAddressesNetworksAndPorts) {
  const struct {
    const char* host;
    const char* no_proxy;
    bool bypasses;
  } cases[] = {
      {"localhost", "", true},
      {"127.0.0.1", "", true},
      {"::1", "", true},
      {"east.example", "", false},
      {"east.example", "east.example", true},
      {"East.example", "EAST.example", true},
      {"api.east.example", "east.example", true},
      {"api.east.example", ".east.example", true},
      {"api.east.example", "*.east.example", true},
      {"east.example", ".east.example", false},
      {"northeast.example", "east.example", false},
      {"east.example", "other, east.example", true},
      {"east.example", "east.example:6443", true},
      {"east.example", "east.example:443", false},
      {"east.example", "east.example:", false},
      {"east.example", "*", true},
      {"10.2.0.1", "10.0.0.0/8", true},
      {"10.2.0.1", "10.3.0.0/16", false},
      {"10.2.0.1", "10.2.0.1", true},
      {"10.2.0.1", "10.2.0.1:6443", true},
      {"10.2.0.1", "10.2.0.1:443", false},
      {"10.2.0.1", "fd00::/8", false},
      {"10.2.0.1", "10.0.0.0/33,nonsense/8,/,[", false},
      {"fd00::1", "fd00::/8", true},
      {"fd00::1", "fe80::/10,10.0.0.0/8", false},
      {"fd00::1", "fd00::1", true},
      {"fd00::1", "[fd00::1]", true},
      {"fd00::1", "[fd00::1]:6443", true},
      {"fd00::1", "[fd00::1]:443", false},
      {"east.example", "10.0.0.0/8", false},
  };
  for (const auto& [host, no_proxy, bypasses] : cases) {
    EXPECT_EQ(BypassesProxy({.host = host, .port = 6443}, no_proxy), bypasses) << host << " beside " << no_proxy;
  }
}

}  // namespace
}  // namespace k8s
