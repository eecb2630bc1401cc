#include "bench/broker_bench.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

#include "bench/broker_under_test.h"
#include "bench/sidecar_under_test.h"
#include "client/cpp/sidecar_client.h"
#include "k8s/core/bound_token.h"
#include "mcsa/v1/config_service.grpc.pb.h"

namespace bench {
namespace {

constexpr int kImports = 10;
constexpr int kMintsARound = 50;
constexpr double kTargetMs = 50;

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
  Stream(int pod, const std::string& import, const std::string& address,
         const std::shared_ptr<grpc::ChannelCredentials>& credentials, Arrivals& arrivals)
      : arrivals_(arrivals) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = mcsa::v1::ConfigService::NewStub(grpc::CreateCustomChannel(address, credentials, arguments));
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

// A server, its streams, and an app behind a sidecar.
class Audience {
 public:
  Audience(BrokerUnderTest::Kind kind, bool fan_out)
      : fan_out_(fan_out), broker_(kind), others_(*new Arrivals), streams_(OpenStreams()) {
    sidecar_ = std::make_unique<SidecarUnderTest>(kImports, broker_.address(), broker_.directory());
    Await("the sidecar's start", absl::Seconds(30), [&] { return sidecar_->IsReady(); });
    mcsa::SidecarOptions options;
    options.socket = sidecar_->socket();
    options.on_change = [this](const std::string&, const absl::StatusOr<mcsa::ConfigSnapshot>& config) {
      if (!config.ok()) return;
      const auto token = k8s::ParseBoundToken((*config)->token);
      if (token.ok()) app_.Add(token->token_id);
    };
    client_ = std::make_unique<mcsa::SidecarClient>(std::vector<std::string>{ImportName(0)}, options);
    absl::SleepFor(absl::Seconds(2));
    others_.Take();
    app_.Take();
  }
  ~Audience() {
    for (Stream* stream : streams_) stream->Forget();
  }

  // The p99 of a round's arrivals at the app and, for a fan-out, at all streams too.
  double Round() {
    for (size_t mint = 1; mint <= kMintsARound; ++mint) {
      broker_.Mint(ImportName(0));
      Await("a token's arrival", absl::Seconds(10),
            [&] { return app_.size() >= mint && (!fan_out_ || others_.size() >= mint * kStreams); });
    }
    std::vector<double> times = app_.Take();
    for (const double time : others_.Take()) {
      if (fan_out_) times.push_back(time);
    }
    return Percentile(times, 0.99);
  }

 private:
  std::vector<Stream*> OpenStreams() {
    const auto credentials = grpc::SslCredentials({.pem_root_certs = broker_.ca()});
    std::vector<Stream*> streams;
    for (int i = 1; i <= kStreams; ++i) {
      streams.push_back(
          new Stream(i, fan_out_ ? ImportName(0) : OtherImport(i), broker_.address(), credentials, others_));
      Await("a stream's opening", absl::Seconds(30), [&] { return i < 20 || streams[streams.size() - 20]->is_open(); });
    }
    return streams;
  }

  const bool fan_out_;
  BrokerUnderTest broker_;
  Arrivals& others_;  // of the streams, which live on: gRPC has no quick way to end a thousand
  const std::vector<Stream*> streams_;
  std::unique_ptr<SidecarUnderTest> sidecar_;
  Arrivals app_;
  std::unique_ptr<mcsa::SidecarClient> client_;
};

}  // namespace

std::vector<Result> Propagation() {
  Audience audience(BrokerUnderTest::Kind::kBroker, /*fan_out=*/false);
  std::vector<double> p99s;
  for (int round = 0; round < kRounds; ++round) p99s.push_back(audience.Round());
  return {{.name = "propagation-1000-p99", .value = Median(p99s), .unit = "ms", .target = kTargetMs}};
}

std::vector<Result> FanOut() {
  Audience ours(BrokerUnderTest::Kind::kBroker, /*fan_out=*/true);
  Audience floor(BrokerUnderTest::Kind::kWriter, /*fan_out=*/true);
  std::vector<double> values, floors;
  for (int round = 0; round < kRounds; ++round) {
    values.push_back(ours.Round());
    floors.push_back(floor.Round());
  }
  constexpr double kTargetRatio = 1.15;
  return {{.name = "fanout-1000-p99", .value = Median(values), .unit = "ms", .target = kTargetMs},
          {.name = "fanout-1000-ratio",
           .value = Median(values),
           .unit = "ms",
           .floor = Median(floors),
           .target = kTargetRatio}};
}

}  // namespace bench
