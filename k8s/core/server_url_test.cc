#include "k8s/core/server_url.h"

#include <gmock/gmock.h>

namespace k8s {
namespace {

TEST(ServerUrlTest, TakesUrlsApart) {
  const struct {
    const char* what;
    const char* text;
    const char* host_and_port;
    const char* path;
  } cases[] = {
      {"a plain server", "https://example.com:6443", "example.com:6443", ""},
      {"the scheme's port", "https://example.com/", "example.com:443", ""},
      {"a path below which the API lies", "https://example.com/k8s/clusters/c-1/", "example.com:443",
       "/k8s/clusters/c-1"},
      {"an IPv6 address", "https://[fd00::1]:6443", "[fd00::1]:6443", ""},
      {"an IPv6 address without a port", "https://[fd00::1]", "[fd00::1]:443", ""},
      {"a proxy with a password", "http://user:secret@proxy:3128", "proxy:3128", ""},
  };
  for (const auto& test : cases) {
    const absl::StatusOr<ServerUrl> url = ParseServerUrl(test.text, "the server");
    ASSERT_TRUE(url.ok()) << test.what;
    EXPECT_EQ(HostAndPort(*url), test.host_and_port) << test.what;
    EXPECT_EQ(url->path, test.path) << test.what;
  }
}

TEST(ServerUrlTest, RefusesWhatIsNoUrlWithoutRepeatingIt) {
  for (const char* text : {"", "example.com", "ftp://example.com", "https://", "https://host:0", "https://host:port",
                           "https://canary:secret@:1", "https://x[::1]"}) {
    const absl::StatusOr<ServerUrl> url = ParseServerUrl(text, "the server");
    EXPECT_EQ(url.status().message(), "the server is no http or https URL") << text;
  }
}

}  // namespace
}  // namespace k8s
