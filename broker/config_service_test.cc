#include "broker/config_service.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "broker/grpc_server.h"
#include "k8s/api/certificate_authority.h"
#include "k8s/core/names.h"
#include "k8s/fakes/fake_transport.h"

namespace broker {
namespace {

using mcsa::v1::ImportError;
using mcsa::v1::WatchConfigsRequest;
using mcsa::v1::WatchConfigsResponse;
using ::testing::HasSubstr;

constexpr char kServerName[] = "broker.test";

std::string PodToken(const std::string& uid) {
  return absl::StrCat("h.",
                      absl::WebSafeBase64Escape(absl::StrCat(R"({"iat":1,"exp":601,"jti":")", uid, R"(","aud":[")",
                                                             k8s::kBrokerAudience, R"("]})")),
                      ".s");
}

// An API server's word for it: the pod is named like its UID, which the token's id is.
k8s::HttpResponse Review(const k8s::HttpRequest& request) {
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
ConfigStore::Pointer Snapshot(const std::string& name, const std::string& reason, size_t bytes = 0) {
  return std::make_shared<const ConfigSnapshot>(ConfigSnapshot{
      .import_name = name, .code = ImportError::NOT_READY, .reason = reason, .message = std::string(bytes, 'x')});
}

// The service behind a real server on a real port; only the API server is a fake.
class ConfigServiceTest : public ::testing::Test {
 protected:
  ConfigServiceTest() {
    transport_.Respond("POST /apis/authentication.k8s.io/v1/tokenreviews",
                       [this](const k8s::HttpRequest& request) { return review_(request); });
    UseNewCa();
    absl::StatusOr<std::unique_ptr<GrpcServer>> server = GrpcServer::Start("127.0.0.1:0", service_, credentials_);
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
    std::unique_ptr<grpc::ClientReader<WatchConfigsResponse>> reader;
  };
  std::unique_ptr<Watch> Open(const std::string& uid, const std::vector<std::string>& names = {"a"}) {
    auto watch = std::make_unique<Watch>();
    watch->stub = NewStub();
    watch->context.AddMetadata("authorization", "Bearer " + PodToken(uid));
    WatchConfigsRequest request;
    for (const std::string& name : names) request.add_names(name);
    watch->reader = watch->stub->WatchConfigs(&watch->context, request);
    return watch;
  }
  // The reason of the n-th import in the next message; "" at the end of the stream.
  static std::string Next(Watch& watch, int n = 0) {
    WatchConfigsResponse message;
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
  ConfigService service_{store_, authenticator_, k8s::SystemClock(), metrics_};
  const std::shared_ptr<RotatingTlsCredentials> credentials_ = std::make_shared<RotatingTlsCredentials>();
  std::string ca_;
  std::unique_ptr<GrpcServer> server_;
};

TEST_F(ConfigServiceTest, AStreamBringsWhatIsThereAndWhatComes) {
  const auto watch = Open("pod");
  AwaitStreams(1);
  store_.Set({"ns", "a"}, Snapshot("a", "First"), /*tell=*/true);
  EXPECT_EQ(Next(*watch), "First");
  store_.Set({"ns", "a"}, Snapshot("a", "Second"), /*tell=*/true);
  EXPECT_EQ(Next(*watch), "Second");
  EXPECT_EQ(Next(*Open("other")), "Second");
}

TEST_F(ConfigServiceTest, ASlowReaderGetsTheNewestAndNotAllInBetween) {
  const auto watch = Open("pod");
  AwaitStreams(1);
  constexpr int kChanges = 500;
  for (int i = 1; i <= kChanges; ++i) {
    store_.Set({"ns", "a"}, Snapshot("a", absl::StrCat("Change", i), /*bytes=*/100'000), /*tell=*/true);
  }
  int messages = 1;
  while (Next(*watch) != absl::StrCat("Change", kChanges)) ++messages;
  EXPECT_LT(messages, kChanges / 2);
}

TEST_F(ConfigServiceTest, AnImportThatHangsHoldsUpTheOthersForASecondOnly) {
  const auto watch = Open("pod", {"a", "b"});
  AwaitStreams(1);
  store_.Set({"ns", "a"}, Snapshot("a", "There"), /*tell=*/true);
  WatchConfigsResponse message;
  ASSERT_TRUE(watch->reader->Read(&message));
  EXPECT_EQ(message.imports(0).error().reason(), "There");
  EXPECT_EQ(message.imports(1).error().code(), ImportError::NOT_READY);
  EXPECT_EQ(message.imports(1).error().reason(), "Pending");
  store_.Set({"ns", "b"}, Snapshot("b", "ThereToo"), /*tell=*/true);
  EXPECT_EQ(Next(*watch, 1), "ThereToo");
}

TEST_F(ConfigServiceTest, TheStreamsOfAPodEndWithIt) {
  const auto watch = Open("pod");
  const auto other = Open("other");
  AwaitStreams(2);
  service_.EndStreamsOf("pod");
  EXPECT_EQ(Next(*watch), "");
  EXPECT_EQ(watch->reader->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  AwaitStreams(1);
  store_.Set({"ns", "a"}, Snapshot("a", "Still"), /*tell=*/true);
  EXPECT_EQ(Next(*other), "Still");
}

TEST_F(ConfigServiceTest, AReaderThatDoesNotReadIsCutOffToo) {
  const auto watch = Open("pod");
  AwaitStreams(1);
  for (int i = 0; i < 100; ++i) {
    store_.Set({"ns", "a"}, Snapshot("a", "Much", /*bytes=*/1'000'000), /*tell=*/true);
  }
  service_.EndStreamsOf("pod");
  AwaitStreams(0);
}

TEST_F(ConfigServiceTest, AReplicaThatStopsSendsItsClientsElsewhere) {
  const auto watch = Open("pod");
  AwaitStreams(1);
  service_.Stop();
  EXPECT_EQ(Next(*watch), "");
  EXPECT_EQ(watch->reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  const auto late = Open("pod");
  EXPECT_EQ(Next(*late), "");
  EXPECT_EQ(late->reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ConfigServiceTest, APodThatIsGoneWhileItCallsGetsNoStream) {
  review_ = [&](const k8s::HttpRequest& request) {
    pods_.Erase({"ns", "pod"});  // and the watch has told of it before there was a stream to end
    return Review(request);
  };
  const auto watch = Open("pod");
  EXPECT_EQ(Next(*watch), "");
  EXPECT_EQ(watch->reader->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  AwaitStreams(0);
}

TEST_F(ConfigServiceTest, GarbageIsNoRequest) {
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(kServerName);
  grpc::GenericStub stub(grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", server_->port()),
                                                   grpc::SslCredentials({.pem_root_certs = ca_}), arguments));
  const grpc::Slice garbage("\xff\xff\xff");
  const grpc::ByteBuffer request(&garbage, 1);
  grpc::ByteBuffer response;
  grpc::ClientContext context;
  std::promise<grpc::Status> status;
  stub.UnaryCall(&context, "/mcsa.v1.ConfigService/WatchConfigs", {}, &request, &response,
                 [&](grpc::Status ended) { status.set_value(std::move(ended)); });
  EXPECT_EQ(status.get_future().get().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ConfigServiceTest, AnApiServerThatDoesNotAnswerIsNoReasonToDespair) {
  review_ = [](const k8s::HttpRequest&) { return k8s::HttpResponse{.status = 503}; };
  const auto watch = Open("pod");
  EXPECT_EQ(Next(*watch), "");
  const grpc::Status status = watch->reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("call again"));
}

TEST_F(ConfigServiceTest, ANewCertificateIsShownToNewConnectionsOnly) {
  const auto old = Open("pod");
  AwaitStreams(1);
  const std::string old_ca = ca_;
  for (int rotation = 0; rotation < 2; ++rotation) {
    UseNewCa();
    EXPECT_EQ(Next(*[&] {
                const auto tell = Snapshot("a", absl::StrCat("Rotation", rotation));
                store_.Set({"ns", "a"}, tell, /*tell=*/true);
                return Open("other");
              }()),
              absl::StrCat("Rotation", rotation));
    EXPECT_EQ(Next(*old), absl::StrCat("Rotation", rotation));
  }
  ca_ = old_ca;
  const auto distrustful = Open("other");
  EXPECT_EQ(Next(*distrustful), "");
  EXPECT_EQ(distrustful->reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

// Most of all under AddressSanitizer.
TEST_F(ConfigServiceTest, StreamsThatComeAndGoLeaveNothingBehind) {
  for (int i = 0; i < 20; ++i) AddPod(absl::StrCat("pod-", i));
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int i = 0; !done; ++i) store_.Set({"ns", "a"}, Snapshot("a", absl::StrCat(i)), /*tell=*/true);
  });
  std::vector<std::thread> clients;
  for (int c = 0; c < 4; ++c) {
    clients.emplace_back([&, c] {
      for (int i = 0; i < 25; ++i) {
        const auto watch = Open(absl::StrCat("pod-", (c * 25 + i) % 20));
        if (i % 3 != 0) Next(*watch);
        watch->context.TryCancel();
        watch->reader->Finish();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  done = true;
  writer.join();
  AwaitStreams(0);
  while (!store_.DropUnwanted({"ns", "a"})) std::this_thread::yield();
}

}  // namespace
}  // namespace broker
