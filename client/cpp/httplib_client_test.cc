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

// Asked for a tunnel in clear text, it would have the token in its log.
TEST_F(HttplibClientTest, AProxyIsNotShownTheToken) {
  httplib::Server proxy;
  std::string asked, shown;
  proxy.set_pre_routing_handler([&](const httplib::Request& request, httplib::Response& response) {
    asked = request.method + " " + request.target;
    shown = request.get_header_value("Authorization");
    response.status = 502;
    return httplib::Server::HandlerResponse::Handled;
  });
  const int port = proxy.bind_to_any_port("127.0.0.1");
  std::thread serving([&] { proxy.listen_after_bind(); });
  auto files = k8s::ImportFiles("canary", "https://server.example:6443");
  files["ca.crt"] = ca_.certificate;
  k8s::WriteAtomically(folder_ / "east", files);
  const auto config = ServiceAccountImportConfigAndNamespace(
      {.imports_directory = folder_.path(),
       .environment = {{{"HTTPS_PROXY", "http://127.0.0.1:" + std::to_string(port)}}}});
  MakeHttplibClient(*config)->client->Get("/pods");
  proxy.stop();
  serving.join();
  EXPECT_EQ(asked, "CONNECT server.example:6443");
  EXPECT_EQ(shown, "");
}

TEST_F(HttplibClientTest, AMalformedCaIsAnError) {
  Mount("token-1", "", "no certificate");
  EXPECT_TRUE(absl::IsInvalidArgument(MakeHttplibClient(Config()).status()));
}

}  // namespace
}  // namespace mcsa
