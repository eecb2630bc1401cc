#include "bench/broker_under_test.h"

#include <absl/strings/escaping.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <mutex>
#include <set>

#include "bench/sidecar_under_test.h"
#include "broker/caller_authenticator.h"
#include "broker/config_service.h"
#include "broker/config_store.h"
#include "broker/grpc_server.h"
#include "broker/memory_trimmer.h"
#include "broker/metrics.h"
#include "broker/stream_capacity.h"
#include "k8s/api/certificate_authority.h"
#include "k8s/api/client.h"
#include "k8s/api/clock.h"
#include "k8s/api/http_transport.h"
#include "k8s/api/read_file.h"
#include "k8s/core/build_secret.h"
#include "k8s/core/names.h"
#include "k8s/core/remote_config.h"
#include "mcsa/v1/config_service.grpc.pb.h"
#include "sidecar/atomic_files.h"
#include "sidecar/testing/fake_broker.h"

namespace bench {
namespace {

constexpr int kImportsOfAPod = 10;
constexpr char kHost[] = "localhost";
constexpr char kNamespace[] = "default";

int64_t NowNs() {
  return absl::ToInt64Nanoseconds(k8s::SystemClock().Monotonic());
}

std::string PodName(int number) {
  return absl::StrCat("pod", number);
}

// An API server that believes the token of each TokenReview, and keeps nothing of it: what stays in this process
// afterwards is counted as the broker's.
class BelievingApiServer final : public k8s::HttpTransport {
 public:
  absl::StatusOr<k8s::HttpResponse> Send(const k8s::HttpRequest& request) override {
    const auto body = k8s::ParseJson(request.body.Reveal());
    const auto token = k8s::ParseBoundToken(k8s::SecretString(k8s::StringAt(*body, {"spec", "token"})));
    const k8s::JsonObject extra{{"authentication.kubernetes.io/pod-name", k8s::JsonArray{token->subject}},
                                {"authentication.kubernetes.io/pod-uid", k8s::JsonArray{token->subject}}};
    const k8s::JsonObject user{{"username", absl::StrCat("system:serviceaccount:", kNamespace, ":default")},
                               {"extra", extra}};
    const k8s::JsonObject status{
        {"authenticated", true}, {"audiences", k8s::JsonArray{k8s::kBrokerAudience}}, {"user", user}};
    return k8s::HttpResponse{.status = 201,
                             .body = k8s::SecretString(boost::json::serialize(k8s::JsonObject{{"status", status}}))};
  }
  absl::StatusOr<k8s::HttpResponse> Stream(const k8s::HttpRequest&, absl::Duration, const k8s::StreamCanceller&,
                                           const std::function<bool(std::string_view)>&) override {
    return absl::UnimplementedError("nothing is watched here");
  }
};

broker::ConfigStore::Pointer Mint(const std::string& import, int number, const std::string& ca) {
  // Of two tokens the one issued in a later second is the newer, hence a second for each.
  const k8s::SecretString token = sidecar::FakeToken(-absl::Seconds(number), absl::Hours(1), absl::StrCat(NowNs()));
  auto snapshot = std::make_shared<broker::ConfigSnapshot>();
  snapshot->import_name = import;
  snapshot->config =
      k8s::ParseRemoteConfig(
          import, "east",
          k8s::BuildSecretData(
              import, {.server = "https://10.0.0.1:6443", .ca_bundle = ca, .namespace_name = kNamespace}, token))
          .value();
  snapshot->issued_at = k8s::SystemClock().Monotonic();
  return snapshot;
}

// Certificates, port and mints are the same for both servers.
std::shared_ptr<broker::RotatingTlsCredentials> MakeCredentials(const std::string& folder, std::string& ca) {
  const k8s::CertificateAndKey authority = k8s::MakeCa("bench", absl::Hours(24), absl::Now()).value();
  const k8s::CertificateAndKey leaf =
      k8s::SignLeaf(authority.certificate, authority.key, {kHost, kServiceName}, absl::Hours(24), absl::Now()).value();
  ca = authority.certificate;
  auto credentials = std::make_shared<broker::RotatingTlsCredentials>();
  credentials->SetCertificate(leaf.certificate, leaf.key);
  if (!sidecar::WriteFile(folder + "ca.crt", ca, 0600).ok()) Fail("cannot write the broker's CA");
  return credentials;
}

[[noreturn]] void MintUntilClosed(const std::string& folder, int port,
                                  const std::function<void(const std::string& import, int number)>& on_mint) {
  if (!sidecar::WriteFile(folder + "port", absl::StrCat(port), 0600).ok()) Fail("cannot write the broker's port");
  std::ifstream mint(folder + "mint");
  int number = 0;
  for (std::string import; std::getline(mint, import);) on_mint(import, ++number);
  _exit(0);
}

using WriterBase = mcsa::v1::ConfigService::WithRawCallbackMethod_WatchConfigs<mcsa::v1::ConfigService::Service>;

// Writes the same bytes to all streams, and does nothing else.
class Writer final : public WriterBase {
 public:
  void Send(const grpc::ByteBuffer& message) {
    std::lock_guard lock(mu_);
    message_ = message;
    for (Call* call : calls_) call->Send(message_);
  }

  grpc::ServerWriteReactor<grpc::ByteBuffer>* WatchConfigs(grpc::CallbackServerContext*,
                                                           const grpc::ByteBuffer*) override {
    auto* const call = new Call(*this);
    std::lock_guard lock(mu_);
    calls_.insert(call);
    call->Send(message_);
    return call;
  }

 private:
  // A message may arrive before its writer hears that it is out; the next one then waits.
  class Call final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
   public:
    explicit Call(Writer& writer) : writer_(writer) {}
    void Send(const grpc::ByteBuffer& message) {
      std::lock_guard lock(mu_);
      next_ = message;
      is_due_ = true;
      WriteLocked();
    }
    void OnWriteDone(bool ok) override {
      std::lock_guard lock(mu_);
      is_writing_ = false;
      if (ok) WriteLocked();
    }
    void OnCancel() override { Finish(grpc::Status::CANCELLED); }
    void OnDone() override {
      {
        std::lock_guard lock(writer_.mu_);
        writer_.calls_.erase(this);
      }
      delete this;
    }

   private:
    void WriteLocked() {
      if (is_writing_ || !is_due_) return;
      is_writing_ = true;
      is_due_ = false;
      message_ = next_;
      StartWrite(&message_);
    }

    Writer& writer_;
    std::mutex mu_;
    grpc::ByteBuffer next_;    // guarded by mu_
    bool is_due_ = false;      // guarded by mu_: next_ was not written
    bool is_writing_ = false;  // guarded by mu_
    grpc::ByteBuffer message_;
  };

  std::mutex mu_;
  std::set<Call*> calls_;     // guarded by mu_
  grpc::ByteBuffer message_;  // guarded by mu_
};

grpc::ByteBuffer MessageOf(const broker::ConfigSnapshot& snapshot) {
  const grpc::Slice slice = broker::Encode(snapshot, k8s::SystemClock().Monotonic());
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace

std::string OtherImport(int number) {
  return absl::StrCat("other", number);
}

std::string PodToken(int number) {
  const std::string claims = absl::StrCat(R"({"iat":1,"exp":4000000000,"sub":")", PodName(number), R"(","aud":[")",
                                          k8s::kBrokerAudience, R"("]})");
  return absl::StrCat("e30.", absl::WebSafeBase64Escape(claims), ".none");
}

std::optional<double> MillisecondsSince(std::string_view token_id) {
  constexpr std::string_view kPrefix = "JTI=";
  int64_t minted = 0;
  if (!token_id.starts_with(kPrefix)) return std::nullopt;
  const std::string number(token_id.substr(kPrefix.size()));
  if (!absl::SimpleAtoi(number, &minted)) return std::nullopt;
  return static_cast<double>(NowNs() - minted) / 1e6;
}

BrokerUnderTest::BrokerUnderTest(Kind kind, int pods) {
  if (mkfifo((folder_ / "mint").c_str(), 0600) != 0) Fail("cannot make a pipe");
  const char* const flag = kind == Kind::kBroker ? "--broker" : "--writer";
  process_ = std::make_unique<Process>(
      std::vector<std::string>{"/proc/self/exe", flag, folder_ / "", absl::StrCat("--pods=", pods)}, folder_ / "log");
  Await("the broker's start", absl::Seconds(30), [&] { return std::filesystem::exists(folder_ / "port"); });
  if (!sidecar::WriteFile(folder_ / "token", PodToken(0), 0600).ok()) Fail("cannot write a token");
  mint_.open(folder_ / "mint");
}

std::string BrokerUnderTest::address() const {
  return absl::StrCat(kHost, ":", std::string(k8s::ReadFile(folder_ / "port")->Reveal()));
}

std::string BrokerUnderTest::ca() const {
  return std::string(k8s::ReadFile(ca_file())->Reveal());
}

void RunBroker(const std::string& folder, int pods) {
  std::string ca;
  const auto credentials = MakeCredentials(folder, ca);
  BelievingApiServer transport;
  const k8s::Client api_server(transport);
  k8s::InformerStore<broker::InjectedPod> known;
  for (int i = 0; i <= pods; ++i) {
    broker::InjectedPod pod{.uid = PodName(i), .injected = true};
    for (int import = 0; import < kImportsOfAPod; ++import) pod.imports.push_back(ImportName(import));
    pod.imports.push_back(OtherImport(i));
    known.Set({kNamespace, PodName(i)}, std::make_shared<const broker::InjectedPod>(pod));
  }
  broker::Metrics metrics;
  broker::ConfigStore* told = nullptr;
  broker::ConfigStore store(
      {.on_wanted = [&](const k8s::ObjectKey& key) { told->Set(key, Mint(key.name, 0, ca), true); },
       .on_unwanted = [](const k8s::ObjectKey&) {}});
  told = &store;
  const broker::CallerAuthenticator authenticator(api_server, known);
  broker::ConfigService service(store, authenticator, k8s::SystemClock(), metrics,
                                broker::StreamCapacity(std::nullopt));
  const auto server = broker::GrpcServer::Start("127.0.0.1:0", service, credentials);
  if (!server.ok()) Fail(std::string(server.status().message()));
  const broker::MemoryTrimmer trimmer([&] { return service.streams(); });
  MintUntilClosed(folder, (*server)->port(), [&](const std::string& import, int number) {
    store.Set({kNamespace, import}, Mint(import, number, ca), /*tell=*/true);
  });
}

void RunWriter(const std::string& folder) {
  std::string ca;
  const auto credentials = MakeCredentials(folder, ca);
  Writer writer;
  writer.Send(MessageOf(*Mint(ImportName(0), 0, ca)));
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", credentials, &port);
  builder.RegisterService(&writer);
  const auto server = builder.BuildAndStart();
  MintUntilClosed(folder, port,
                  [&](const std::string& import, int number) { writer.Send(MessageOf(*Mint(import, number, ca))); });
}

}  // namespace bench
