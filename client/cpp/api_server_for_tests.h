#ifndef CLIENT_CPP_API_SERVER_FOR_TESTS_H_
#define CLIENT_CPP_API_SERVER_FOR_TESTS_H_

#include <absl/time/clock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <map>
#include <memory>
#include <string>
#include <thread>

#include "client/cpp/configs.h"
#include "k8s/api/certificate_authority.h"
#include "k8s/api/tls_context.h"
#include "k8s/fakes/import_folder.h"

namespace mcsa {

// A TLS server on the loopback that answers each GET with its path and Authorization header, and the folder of an
// import of it.
class ApiServerTest : public ::testing::Test {
 protected:
  ApiServerTest() : ca_(*k8s::MakeCa("test", absl::Hours(1), absl::Now())) {
    const auto leaf = k8s::SignLeaf(ca_.certificate, ca_.key, {"127.0.0.1"}, absl::Hours(1), absl::Now());
    const auto tls = k8s::BuildTlsContext("", leaf->certificate, leaf->key);
    server_ = std::make_unique<httplib::SSLServer>(tls->certificate.get(), tls->key.get());
    server_->Get(".*", [](const httplib::Request& request, httplib::Response& response) {
      response.set_content(request.path + " " + request.get_header_value("Authorization"), "text/plain");
    });
    port_ = server_->bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_->listen_after_bind(); });
    server_->wait_until_ready();
    Mount("token-1", "");
  }
  ~ApiServerTest() override {
    server_->stop();
    thread_.join();
  }

  void Mount(const std::string& token, const std::string& path) { Mount(token, path, ca_.certificate); }
  void Mount(const std::string& token, const std::string& path, const std::string& ca) {
    auto files = k8s::ImportFiles(token, "https://127.0.0.1:" + std::to_string(port_) + path);
    files["ca.crt"] = ca;
    k8s::WriteAtomically(folder_ / "east", files);
  }
  RemoteConfig Config() const {
    return *ServiceAccountImportConfigAndNamespace({.imports_directory = folder_.path(), .environment = {}});
  }

  const k8s::TemporaryFolder folder_;
  const k8s::CertificateAndKey ca_;
  std::unique_ptr<httplib::SSLServer> server_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace mcsa

#endif  // CLIENT_CPP_API_SERVER_FOR_TESTS_H_
