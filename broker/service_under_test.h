#ifndef BROKER_SERVICE_UNDER_TEST_H_
#define BROKER_SERVICE_UNDER_TEST_H_

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "broker/config_service.h"
#include "broker/grpc_server.h"
#include "k8s/api/certificate_authority.h"
#include "k8s/core/names.h"
#include "k8s/fakes/fake_transport.h"

namespace broker {

inline constexpr char kServerName[] = "broker.test";
inline constexpr size_t kMaxStreams = 40;

inline std::string PodToken(const std::string& uid) {
  return absl::StrCat("h.",
                      absl::WebSafeBase64Escape(absl::StrCat(R"({"iat":1,"exp":601,"jti":")", uid, R"(","aud":[")",
                                                             k8s::kBrokerAudience, R"("]})")),
                      ".s");
}

// An API server's word for it: the pod is named like its UID, which the token's id is.
inline k8s::HttpResponse Review(const k8s::HttpRequest& request) {
  const k8s::Json body = *k8s::ParseJson(request.body.Reveal());
  const auto token = k8s::ParseBoundToken(k8s::SecretString(k8s::StringAt(body, {"spec", "token"})));
  const std::string uid = token->token_id.substr(4);
  k8s::HttpResponse response{.status = 201};
  response.body = k8s::SecretString(absl::StrCat(
      R"({"status":{"authenticated":true,"audiences":[")", k8s::kBrokerAudience,
      R"("],"user":{"username":"system:serviceaccount:ns:default","extra":{"authentication.kubernetes.io/pod-name":[")",
      uid, R"("],"authentication.kubernetes.io/pod-uid":[")", uid, R"("]}}}})"));
  return response;
}

// A snapshot that `reason` tells from others, of `bytes`.
inline ConfigStore::Pointer Snapshot(const std::string& name, const std::string& reason, size_t bytes = 0) {
  return std::make_shared<const ConfigSnapshot>(ConfigSnapshot{.import_name = name,
                                                               .code = mcsa::v1::ImportError::NOT_READY,
                                                               .reason = reason,
                                                               .message = std::string(bytes, 'x')});
}

// The service behind a real server on a real port; only the API server is a fake.
class ServiceUnderTest : public ::testing::Test {
 protected:
  explicit ServiceUnderTest(absl::Duration max_connection_age = GrpcServer::kMaxConnectionAge) {
    transport_.Respond("POST /apis/authentication.k8s.io/v1/tokenreviews",
                       [this](const k8s::HttpRequest& request) { return review_(request); });
    UseNewCa();
    absl::StatusOr<std::unique_ptr<GrpcServer>> server =
        GrpcServer::Start("127.0.0.1:0", service_, credentials_, max_connection_age);
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    for (const char* uid : {"pod", "other"}) AddPod(uid);
  }

  void AddPod(const std::string& uid) {
    pods_.Set({"ns", uid},
              std::make_shared<const InjectedPod>(InjectedPod{.uid = uid, .injected = true, .imports = {"a", "b"}}));
  }

  void UseNewCa() {
    const absl::Time now = absl::Now();
    const auto ca = k8s::MakeCa("test", absl::Hours(1), now);
    const auto leaf = k8s::SignLeaf(ca->certificate, ca->key, {kServerName}, absl::Hours(1), now);
    ca_ = ca->certificate;
    credentials_->SetCertificate(leaf->certificate, leaf->key);
  }

  std::unique_ptr<mcsa::v1::ConfigService::Stub> NewStub() {
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride(kServerName);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return mcsa::v1::ConfigService::NewStub(grpc::CreateCustomChannel(
        absl::StrCat("127.0.0.1:", server_->port()), grpc::SslCredentials({.pem_root_certs = ca_}), arguments));
  }

  // One call of the pod, and a reader of it.
  struct Watch {
    std::unique_ptr<mcsa::v1::ConfigService::Stub> stub;
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<mcsa::v1::WatchConfigsResponse>> reader;
  };
  std::unique_ptr<Watch> Open(const std::string& uid, const std::vector<std::string>& names = {"a"}) {
    auto watch = std::make_unique<Watch>();
    watch->stub = NewStub();
    watch->context.AddMetadata("authorization", "Bearer " + PodToken(uid));
    mcsa::v1::WatchConfigsRequest request;
    for (const std::string& name : names) request.add_names(name);
    watch->reader = watch->stub->WatchConfigs(&watch->context, request);
    return watch;
  }
  // The reason of the n-th import in the next message; "" at the end of the stream.
  static std::string Next(Watch& watch, int n = 0) {
    mcsa::v1::WatchConfigsResponse message;
    return watch.reader->Read(&message) ? message.imports(n).error().reason() : "";
  }
  // A stream counts before it subscribes, and the store drops what nobody subscribed to.
  void AwaitStreams(size_t count) {
    while (service_.streams() != count || (count > 0 && !store_.IsKept({"ns", "a"}))) std::this_thread::yield();
  }

  std::function<k8s::HttpResponse(const k8s::HttpRequest&)> review_ = &Review;
  k8s::FakeTransport transport_;
  const k8s::Client client_{transport_};
  k8s::InformerStore<InjectedPod> pods_;
  const CallerAuthenticator authenticator_{client_, pods_};
  ConfigStore store_{{.on_wanted = [](const k8s::ObjectKey&) {}, .on_unwanted = [](const k8s::ObjectKey&) {}}};
  Metrics metrics_;
  ConfigService service_{store_, authenticator_, k8s::SystemClock(), metrics_, kMaxStreams};
  const std::shared_ptr<RotatingTlsCredentials> credentials_ = std::make_shared<RotatingTlsCredentials>();
  std::string ca_;
  std::unique_ptr<GrpcServer> server_;
};

}  // namespace broker

#endif  // BROKER_SERVICE_UNDER_TEST_H_
