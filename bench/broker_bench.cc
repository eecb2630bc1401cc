#include "bench/broker_bench.h"

#include <absl/strings/escaping.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>

#include "bench/sidecar_under_test.h"
#include "broker/caller_authenticator.h"
#include "broker/config_service.h"
#include "broker/config_store.h"
#include "broker/grpc_server.h"
#include "broker/metrics.h"
#include "client/cpp/sidecar_client.h"
#include "k8s/api/certificate_authority.h"
#include "k8s/api/client.h"
#include "k8s/api/clock.h"
#include "k8s/api/read_file.h"
#include "k8s/core/build_secret.h"
#include "k8s/core/names.h"
#include "k8s/core/remote_config.h"
#include "k8s/fakes/fake_transport.h"
#include "mcsa/v1/config_service.grpc.pb.h"
#include "sidecar/atomic_files.h"
#include "sidecar/testing/fake_broker.h"

namespace bench {
namespace {

constexpr int kStreams = 1000;
constexpr int kImports = 10;
constexpr int kMintsARound = 50;
constexpr char kHost[] = "localhost";
constexpr char kNamespace[] = "default";
constexpr double kTargetMs = 50;

int64_t NowNs() {
  return absl::ToInt64Nanoseconds(k8s::SystemClock().Monotonic());
}

// How long ago a token was minted, by its id.
std::optional<double> MillisecondsSince(std::string_view token_id) {
  constexpr std::string_view kPrefix = "JTI=";
  int64_t minted = 0;
  if (!token_id.starts_with(kPrefix)) return std::nullopt;
  const std::string number(token_id.substr(kPrefix.size()));
  if (!absl::SimpleAtoi(number, &minted)) return std::nullopt;
  return static_cast<double>(NowNs() - minted) / 1e6;
}

std::string PodName(int number) {
  return absl::StrCat("pod", number);
}

std::string OtherImport(int number) {
  return absl::StrCat("other", number);
}

// What the kubelet would project, but for the signature.
std::string PodToken(int number) {
  const std::string claims = absl::StrCat(R"({"iat":1,"exp":4000000000,"sub":")", PodName(number), R"(","aud":[")",
                                          k8s::kBrokerAudience, R"("]})");
  return absl::StrCat("e30.", absl::WebSafeBase64Escape(claims), ".none");
}

// The API server's answer to a TokenReview: it believes each token.
k8s::HttpResponse Review(const k8s::HttpRequest& request) {
  const auto body = k8s::ParseJson(request.body.Reveal());
  const auto token = k8s::ParseBoundToken(k8s::SecretString(k8s::StringAt(*body, {"spec", "token"})));
  const k8s::JsonObject extra{{"authentication.kubernetes.io/pod-name", k8s::JsonArray{token->subject}},
                              {"authentication.kubernetes.io/pod-uid", k8s::JsonArray{token->subject}}};
  const k8s::JsonObject user{{"username", absl::StrCat("system:serviceaccount:", kNamespace, ":default")},
                             {"extra", extra}};
  const k8s::JsonObject status{
      {"authenticated", true}, {"audiences", k8s::JsonArray{k8s::kBrokerAudience}}, {"user", user}};
  return {.status = 201, .body = k8s::SecretString(boost::json::serialize(k8s::JsonObject{{"status", status}}))};
}

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

// RunBroker in a process of its own.
class Broker {
 public:
  Broker() {
    if (mkfifo((folder_ / "mint").c_str(), 0600) != 0) Fail("cannot make a pipe");
    process_ = std::make_unique<Process>(std::vector<std::string>{"/proc/self/exe", "--broker", folder_ / ""},
                                         folder_ / "log");
    Await("the broker's start", absl::Seconds(30), [&] { return std::filesystem::exists(folder_ / "port"); });
    if (!sidecar::WriteFile(folder_ / "token", PodToken(0), 0600).ok()) Fail("cannot write a token");
    mint_.open(folder_ / "mint");
  }

  std::string address() const {
    return absl::StrCat(kHost, ":", std::string(k8s::ReadFile(folder_ / "port")->Reveal()));
  }
  std::string ca() const { return std::string(k8s::ReadFile(folder_ / "ca.crt")->Reveal()); }
  std::string directory() const { return folder_ / ""; }
  void Mint(const std::string& import) { mint_ << import << std::endl; }

 private:
  const Folder folder_;
  std::unique_ptr<Process> process_;
  std::ofstream mint_;
};

// When tokens arrived, in ms after they were minted. Thread-safe.
class Arrivals {
 public:
  void Add(std::string_view token_id) {
    const std::optional<double> late = MillisecondsSince(token_id);
    std::lock_guard lock(mu_);
    if (late) times_.push_back(*late);
  }
  size_t size() const {
    std::lock_guard lock(mu_);
    return times_.size();
  }
  std::vector<double> Take() {
    std::lock_guard lock(mu_);
    return std::exchange(times_, {});
  }

 private:
  mutable std::mutex mu_;
  std::vector<double> times_;  // guarded by mu_
};

// A stream as a sidecar opens it, with a connection of its own.
class Stream : public grpc::ClientReadReactor<mcsa::v1::WatchConfigsResponse> {
 public:
  Stream(int pod, const std::string& import, const Broker& broker, Arrivals& arrivals) : arrivals_(arrivals) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = mcsa::v1::ConfigService::NewStub(
        grpc::CreateCustomChannel(broker.address(), grpc::SslCredentials({.pem_root_certs = broker.ca()}), arguments));
    context_.AddMetadata("authorization", "Bearer " + PodToken(pod));
    request_.add_names(import);
    stub_->async()->WatchConfigs(&context_, &request_, this);
    StartRead(&response_);
    StartCall();
  }

  bool is_open() const { return open_; }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    for (const auto& state : response_.imports()) arrivals_.Add(state.config().token_id());
    open_ = true;
    response_.Clear();
    StartRead(&response_);
  }
  void OnDone(const grpc::Status& status) override {
    if (!forgotten_) Fail("a stream ended: " + status.error_message());
  }
  // From now on it may end.
  void Forget() { forgotten_ = true; }

 private:
  Arrivals& arrivals_;
  std::unique_ptr<mcsa::v1::ConfigService::Stub> stub_;
  grpc::ClientContext context_;
  mcsa::v1::WatchConfigsRequest request_;
  mcsa::v1::WatchConfigsResponse response_;
  std::atomic<bool> open_ = false;
  std::atomic<bool> forgotten_ = false;
};

// The p99 of each round's arrivals at the app behind the sidecar and, for a fan-out, at all streams too.
std::vector<Result> Measure(const std::string& name, bool fan_out) {
  Broker broker;
  Arrivals& others = *new Arrivals;  // of the streams, which live on: gRPC has no quick way to end a thousand
  std::vector<Stream*> streams;
  for (int i = 1; i <= kStreams; ++i) {
    streams.push_back(new Stream(i, fan_out ? ImportName(0) : OtherImport(i), broker, others));
    Await("a stream's opening", absl::Seconds(30), [&] { return i < 20 || streams[streams.size() - 20]->is_open(); });
  }
  const SidecarUnderTest sidecar(kImports, broker.address(), broker.directory());
  Await("the sidecar's start", absl::Seconds(30), [&] { return sidecar.IsReady(); });
  Arrivals app;
  mcsa::SidecarOptions options;
  options.socket = sidecar.socket();
  options.on_change = [&](const std::string&, const absl::StatusOr<mcsa::ConfigSnapshot>& config) {
    if (!config.ok()) return;
    const auto token = k8s::ParseBoundToken((*config)->token);
    if (token.ok()) app.Add(token->token_id);
  };
  const mcsa::SidecarClient client({ImportName(0)}, options);
  absl::SleepFor(absl::Seconds(2));
  others.Take();
  app.Take();

  std::vector<double> p99s;
  for (int round = 0; round < kRounds; ++round) {
    for (int mint = 1; mint <= kMintsARound; ++mint) {
      broker.Mint(ImportName(0));
      const size_t copies = static_cast<size_t>(mint);
      Await("a token's arrival", absl::Seconds(10),
            [&] { return app.size() >= copies && (!fan_out || others.size() >= copies * kStreams); });
    }
    std::vector<double> times = app.Take();
    for (const double time : others.Take()) {
      if (fan_out) times.push_back(time);
    }
    p99s.push_back(Percentile(times, 0.99));
  }
  for (Stream* stream : streams) stream->Forget();
  return {{.name = name, .value = Median(p99s), .unit = "ms", .target = kTargetMs}};
}

}  // namespace

std::vector<Result> Propagation() {
  return Measure("propagation-1000-p99", /*fan_out=*/false);
}

std::vector<Result> FanOut() {
  return Measure("fanout-1000-p99", /*fan_out=*/true);
}

void RunBroker(const std::string& folder) {
  const k8s::CertificateAndKey ca = k8s::MakeCa("bench", absl::Hours(24), absl::Now()).value();
  const k8s::CertificateAndKey leaf =
      k8s::SignLeaf(ca.certificate, ca.key, {kHost}, absl::Hours(24), absl::Now()).value();
  k8s::FakeTransport transport;
  transport.Respond("POST /apis/authentication.k8s.io/v1/tokenreviews", Review);
  const k8s::Client api_server(transport);
  k8s::InformerStore<broker::InjectedPod> pods;
  for (int i = 0; i <= kStreams; ++i) {
    broker::InjectedPod pod{.uid = PodName(i), .injected = true};
    for (int import = 0; import < kImports; ++import) pod.imports.push_back(ImportName(import));
    pod.imports.push_back(OtherImport(i));
    pods.Set({kNamespace, PodName(i)}, std::make_shared<const broker::InjectedPod>(pod));
  }
  broker::Metrics metrics;
  broker::ConfigStore* told = nullptr;
  broker::ConfigStore store(
      {.on_wanted = [&](const k8s::ObjectKey& key) { told->Set(key, Mint(key.name, 0, ca.certificate), true); },
       .on_unwanted = [](const k8s::ObjectKey&) {}});
  told = &store;
  const broker::CallerAuthenticator authenticator(api_server, pods);
  broker::ConfigService service(store, authenticator, k8s::SystemClock(), metrics);
  auto credentials = std::make_shared<broker::RotatingTlsCredentials>();
  credentials->SetCertificate(leaf.certificate, leaf.key);
  const auto server = broker::GrpcServer::Start("127.0.0.1:0", service, credentials);
  if (!server.ok()) Fail(std::string(server.status().message()));
  if (!sidecar::WriteFile(folder + "ca.crt", ca.certificate, 0600).ok() ||
      !sidecar::WriteFile(folder + "port", absl::StrCat((*server)->port()), 0600).ok()) {
    Fail("cannot write the broker's port");
  }
  std::ifstream mint(folder + "mint");
  int number = 0;
  for (std::string import; std::getline(mint, import);) {
    store.Set({kNamespace, import}, Mint(import, ++number, ca.certificate), /*tell=*/true);
  }
  _exit(0);
}

}  // namespace bench
