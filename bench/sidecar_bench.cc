#include "bench/sidecar_bench.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <map>
#include <memory>

#include "bench/sidecar_under_test.h"
#include "k8s/api/certificate_authority.h"
#include "k8s/core/build_secret.h"
#include "k8s/core/remote_config.h"
#include "mcsa/v1/config_service.grpc.pb.h"
#include "sidecar/atomic_files.h"
#include "sidecar/testing/fake_broker.h"

namespace bench {
namespace {

using ::mcsa::v1::ConfigService;
using ::mcsa::v1::GetConfigRequest;
using ::mcsa::v1::GetConfigResponse;

constexpr int kImports = 10;
constexpr int kCallsARound = 2000;
// What a sidecar takes hardly differs from one to the next; a load on nine at once takes five minutes.
constexpr int kSidecars = 3;
constexpr int kLoadCalls = 10'000;
constexpr int kLoadUpdates = 1'000;
constexpr char kHost[] = "localhost";
// The sidecar's own start is over after 5 s, and its first keepalive is sent after 10.
constexpr absl::Duration kStart = absl::Seconds(6);
constexpr absl::Duration kSettle = absl::Seconds(20);
constexpr char kNoBroker[] = "127.0.0.1:9";

std::unique_ptr<ConfigService::Stub> Dial(const std::string& socket) {
  return ConfigService::NewStub(grpc::CreateChannel("unix:" + socket, grpc::InsecureChannelCredentials()));
}

// Times of so many calls, in ms.
std::vector<double> Call(ConfigService::Stub& stub, int calls) {
  std::vector<double> times;
  GetConfigRequest request;
  request.set_name(ImportName(0));
  for (int i = 0; i < calls; ++i) {
    GetConfigResponse response;
    grpc::ClientContext context;
    times.push_back(Milliseconds([&] {
      const grpc::Status status = stub.GetConfig(&context, request, &response);
      if (!status.ok()) Fail("GetConfig failed: " + status.error_message());
    }));
  }
  return times;
}

// A broker that sends each import, and the folder that a sidecar needs to call it.
class Broker {
 public:
  Broker() : ca_(k8s::MakeCa("broker", absl::Hours(24), absl::Now()).value()), broker_("127.0.0.1:0", kHost, ca_) {
    if (!sidecar::WriteFile(folder_ / "ca.crt", ca_.certificate, 0644).ok() ||
        !sidecar::WriteFile(folder_ / "token", "none", 0644).ok()) {
      Fail("cannot write the credentials of the broker");
    }
    Send(0);
  }

  std::string address() const { return absl::StrCat(kHost, ":", broker_.port()); }
  std::string directory() const { return folder_ / ""; }
  bool AwaitStreams(int count) { return broker_.AwaitStreams(count); }

  // The tokens of generation `number`, each newer than the one before.
  void Send(int number) {
    std::map<std::string, mcsa::v1::ImportState> states;
    for (int i = 0; i < kImports; ++i) {
      const std::string name = ImportName(i);
      const k8s::SecretString token =
          sidecar::FakeToken(-absl::Seconds(number), absl::Hours(1), absl::StrCat(name, "-", number));
      const auto config = k8s::ParseRemoteConfig(
          name, "east",
          k8s::BuildSecretData(
              name, {.server = "https://10.0.0.1:6443", .ca_bundle = ca_.certificate, .namespace_name = "default"},
              token));
      states[name].set_name(name);
      k8s::FillConfig(config.value(), absl::ZeroDuration(), "", *states[name].mutable_config());
    }
    broker_.Set(std::move(states));
  }

 private:
  const Folder folder_;
  const k8s::CertificateAndKey ca_;
  sidecar::FakeBroker broker_;
};

std::string TokenId(ConfigService::Stub& stub) {
  GetConfigRequest request;
  request.set_name(ImportName(0));
  GetConfigResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stub.GetConfig(&context, request, &response);
  return status.ok() ? response.config().token_id() : status.error_message();
}

class EmptyService : public ConfigService::CallbackService {
 public:
  grpc::ServerUnaryReactor* GetConfig(grpc::CallbackServerContext* context, const GetConfigRequest*,
                                      GetConfigResponse*) override {
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

}  // namespace

std::vector<Result> GetConfigLatency() {
  // Each round has servers of its own: two processes of one program differ by a third, by the core that their threads
  // wake on.
  struct Pair {
    Folder folder;
    Process empty{{"/proc/self/exe", "--empty-server", folder / "s"}, folder / "log"};
    SidecarUnderTest sidecar{kImports, kNoBroker, folder / "credentials"};
  };
  std::vector<std::unique_ptr<Pair>> pairs;
  for (int round = 0; round < kRounds; ++round) pairs.push_back(std::make_unique<Pair>());
  absl::SleepFor(kStart);
  std::map<double, std::vector<double>> values, floors;  // by the share
  for (const auto& pair : pairs) {
    const auto value_stub = Dial(pair->sidecar.socket()), floor_stub = Dial(pair->folder / "s");
    Call(*value_stub, kCallsARound);  // both warm
    Call(*floor_stub, kCallsARound);
    const std::vector<double> value = Call(*value_stub, kCallsARound), floor = Call(*floor_stub, kCallsARound);
    for (const double share : {0.5, 0.99}) {
      values[share].push_back(Percentile(value, share));
      floors[share].push_back(Percentile(floor, share));
    }
  }
  constexpr double kTarget = 1.1;
  return {{.name = "getconfig-p50",
           .value = Median(values[0.5]),
           .unit = "ms",
           .floor = Median(floors[0.5]),
           .target = kTarget},
          {.name = "getconfig-p99",
           .value = Median(values[0.99]),
           .unit = "ms",
           .floor = Median(floors[0.99]),
           .target = kTarget}};
}

std::vector<Result> SidecarMemory() {
  Broker broker;
  std::vector<std::unique_ptr<SidecarUnderTest>> sidecars;
  for (int i = 0; i < kSidecars; ++i) {
    sidecars.push_back(std::make_unique<SidecarUnderTest>(kImports, broker.address(), broker.directory()));
  }
  if (!broker.AwaitStreams(kSidecars)) Fail("the sidecars opened no stream: " + sidecars.front()->log());
  absl::SleepFor(kSettle);
  std::vector<double> idle, loaded;
  for (const auto& sidecar : sidecars) idle.push_back(ResidentMiB(sidecar->id()));

  std::vector<std::unique_ptr<ConfigService::Stub>> stubs;
  for (const auto& sidecar : sidecars) stubs.push_back(Dial(sidecar->socket()));
  for (int update = 1; update <= kLoadUpdates; ++update) {
    broker.Send(update);
    for (const auto& stub : stubs) Call(*stub, kLoadCalls / kLoadUpdates);
    absl::SleepFor(absl::Milliseconds(5));
  }
  const std::string last = absl::StrCat("JTI=", ImportName(0), "-", kLoadUpdates);
  for (const auto& stub : stubs) {
    Await("the last update", absl::Seconds(30), [&] { return TokenId(*stub) == last; });
  }
  for (const auto& sidecar : sidecars) loaded.push_back(ResidentMiB(sidecar->id()));
  constexpr double kTarget = 8;
  return {{.name = "sidecar-rss-idle", .value = Median(idle), .unit = "MiB", .target = kTarget},
          {.name = "sidecar-rss-loaded", .value = Median(loaded), .unit = "MiB", .target = kTarget}};
}

std::vector<Result> SidecarReady() {
  const Folder folder;
  std::vector<double> times;
  for (int round = 0; round < kRounds; ++round) {
    // The process starts with the last thing that this does.
    const SidecarUnderTest sidecar(kImports, kNoBroker, folder / "credentials");
    times.push_back(
        Milliseconds([&] { Await("the start gate's opening", absl::Seconds(30), [&] { return sidecar.IsReady(); }); }));
  }
  return {{.name = "sidecar-ready", .value = Median(times), .unit = "ms", .target = 100}};
}

void RunEmptyServer(const std::string& socket) {
  EmptyService service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  server->Wait();
  _exit(0);
}

}  // namespace bench
