#include "client/cpp/curl_handle.h"

#include <gmock/gmock.h>

#include "client/cpp/api_server_for_tests.h"

namespace mcsa {
namespace {

class CurlHandleTest : public ApiServerTest {
 protected:
  // The body, or what libcurl says is wrong.
  static std::string Get(CurlHandle& api, const std::string& path) {
    if (const absl::Status status = api.Prepare(path); !status.ok()) return std::string(status.message());
    std::string body;
    curl_easy_setopt(api.get(), CURLOPT_WRITEDATA, &body);
    curl_easy_setopt(
        api.get(), CURLOPT_WRITEFUNCTION, +[](char* data, size_t size, size_t count, std::string* body) {
          body->append(data, size * count);
          return size * count;
        });
    const CURLcode code = curl_easy_perform(api.get());
    return code == CURLE_OK ? body : curl_easy_strerror(code);
  }
};

TEST_F(CurlHandleTest, SendsTheTokenOfTheMoment) {
  CurlHandle api = *CurlHandle::Make(Config());
  EXPECT_EQ(Get(api, "/pods"), "/pods Bearer token-1");
  Mount("token-2", "");
  EXPECT_EQ(Get(api, "/pods"), "/pods Bearer token-2");
}

TEST_F(CurlHandleTest, KnowsThePathOfTheServer) {
  Mount("token-1", "/clusters/c-1/");
  CurlHandle api = *CurlHandle::Make(Config());
  EXPECT_EQ(Get(api, "/pods"), "/clusters/c-1/pods Bearer token-1");
}

TEST_F(CurlHandleTest, TrustsNoOtherCa) {
  Mount("token-1", "", k8s::MakeCa("other", absl::Hours(1), absl::Now())->certificate);
  CurlHandle api = *CurlHandle::Make(Config());
  EXPECT_EQ(Get(api, "/pods"), curl_easy_strerror(CURLE_PEER_FAILED_VERIFICATION));
}

TEST_F(CurlHandleTest, FollowsACaThatIsReplaced) {
  Mount("token-1", "", k8s::MakeCa("other", absl::Hours(1), absl::Now())->certificate);
  CurlHandle api = *CurlHandle::Make(Config());
  Get(api, "/pods");
  Mount("token-2", "");
  EXPECT_EQ(Get(api, "/pods"), "/pods Bearer token-2");
}

TEST_F(CurlHandleTest, AfterAWithdrawalNothingIsSent) {
  const RemoteConfig config = Config();
  CurlHandle api = *CurlHandle::Make(config);
  k8s::WriteAtomically(folder_ / "east", {{"server", *config.server()}, {"namespace", "n"}});
  EXPECT_TRUE(absl::IsUnauthenticated(api.Prepare("/pods")));
}

TEST_F(CurlHandleTest, VerifiesTheServerNameOfAKubeconfig) {
  const std::string entry = R"({"current-context": "x", "clusters": [{"name": "c", "cluster": {"server":
    "https://localhost:)" + std::to_string(port_) +
                            R"(", "tls-server-name": "127.0.0.1", "certificate-authority":
    "ca"}}], "users": [{"name": "u", "user": {"username": "me", "password": "secret"}}], "contexts": [{"name": "x",
    "context": {"cluster": "c", "user": "u"}}]})";
  k8s::WriteFile(folder_ / "config", entry);
  k8s::WriteFile(folder_ / "ca", ca_.certificate);
  CurlHandle api = *CurlHandle::Make(*NamedConfigAndNamespace(
      "x", {.imports_directory = "/absent", .kubeconfig = folder_ / "config", .environment = {}}));
  EXPECT_EQ(Get(api, "/pods"), "/pods Basic bWU6c2VjcmV0");
}

}  // namespace
}  // namespace mcsa
