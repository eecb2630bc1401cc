#include "client/cpp/httplib_client.h"

#include <gmock/gmock.h>

#include "client/cpp/api_server_for_tests.h"

namespace mcsa {
namespace {

using HttplibClientTest = ApiServerTest;

TEST_F(HttplibClientTest, SendsTheTokenOfTheMoment) {
  const HttplibClient api = *MakeHttplibClient(Config());
  EXPECT_EQ(api.client->Get("/pods")->body, "/pods Bearer token-1");
  Mount("token-2", "");
  EXPECT_EQ(api.client->Get("/pods")->body, "/pods Bearer token-2");
}

TEST_F(HttplibClientTest, KnowsThePathOfTheServer) {
  Mount("token-1", "/clusters/c-1/");
  const HttplibClient api = *MakeHttplibClient(Config());
  EXPECT_EQ(api.client->Get(api.base_path + "/pods")->body, "/clusters/c-1/pods Bearer token-1");
}

TEST_F(HttplibClientTest, TrustsNoOtherCa) {
  Mount("token-1", "", k8s::MakeCa("other", absl::Hours(1), absl::Now())->certificate);
  const httplib::Result result = MakeHttplibClient(Config())->client->Get("/pods");
  EXPECT_EQ(result.error(), httplib::Error::SSLServerVerification);
}

TEST_F(HttplibClientTest, LeavesTheCallersOwnHeaderAlone) {
  const HttplibClient api = *MakeHttplibClient(Config());
  EXPECT_EQ(api.client->Get("/pods", {{"Authorization", "mine"}})->body, "/pods mine");
}

TEST_F(HttplibClientTest, AfterAWithdrawalNoOldTokenIsSent) {
  const RemoteConfig config = Config();
  const HttplibClient api = *MakeHttplibClient(config);
  k8s::WriteAtomically(folder_ / "east", {{"server", *config.server()}, {"namespace", "n"}});
  EXPECT_EQ(api.client->Get("/pods")->body, "/pods ");
}

TEST_F(HttplibClientTest, AMalformedCaIsAnError) {
  Mount("token-1", "", "no certificate");
  EXPECT_TRUE(absl::IsInvalidArgument(MakeHttplibClient(Config()).status()));
}

}  // namespace
}  // namespace mcsa
