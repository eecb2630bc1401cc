#include "k8s/api/token_requester.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "k8s/fakes/fake_transport.h"

namespace k8s {
namespace {

absl::Status RequestAnswered(const std::string& body) {
  FakeTransport transport;
  transport.Respond("POST /api/v1/namespaces/ns/serviceaccounts/reader/token", [&](const HttpRequest&) {
    HttpResponse response;
    response.status = 404;
    response.body = SecretString(body);
    return response;
  });
  return RequestToken(Client(transport), {"ns", "reader"}, {}, absl::Hours(1)).status();
}

// The broker takes a credential away when its account is gone, so only an API server's word counts.
TEST(RequestTokenTest, OnlyAnApiServerSaysThatAnAccountIsGone) {
  EXPECT_TRUE(absl::IsNotFound(RequestAnswered(
      R"({"kind": "Status", "code": 404, "reason": "NotFound", "details": {"name": "reader", "kind": "serviceaccounts"}})")));
  EXPECT_TRUE(absl::IsUnavailable(RequestAnswered("<html>404 page not found</html>")));
  EXPECT_TRUE(absl::IsUnavailable(RequestAnswered(R"({"kind": "Status", "code": 404, "reason": "NotFound"})")));
}

}  // namespace
}  // namespace k8s
