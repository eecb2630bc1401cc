#include "client/cpp/sidecar_client.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "client/cpp/config_sources.h"
#include "k8s/api/cluster_connection.h"
#include "k8s/core/names.h"
#include "k8s/core/remote_config.h"
#include "mcsa/v1/config_service.grpc.pb.h"

namespace mcsa {
namespace {

using ::mcsa::v1::ConfigService;
using ::mcsa::v1::ImportError;
using ::mcsa::v1::ImportState;
using ::mcsa::v1::WatchConfigsRequest;
using ::mcsa::v1::WatchConfigsResponse;
using State = absl::StatusOr<ConfigSnapshot>;

// A sidecar that was killed is back within two seconds.
constexpr absl::Duration kFirstRetry = absl::Milliseconds(100);
constexpr absl::Duration kLastRetry = absl::Seconds(2);
// A sidecar that hangs keeps its socket open.
constexpr int kKeepaliveMs = 10'000;
constexpr int kKeepaliveTimeoutMs = 5'000;

std::shared_ptr<grpc::Channel> Dial(const SidecarOptions& options) {
  std::string socket = options.socket.empty() ? options.configs.environment.Get(k8s::kSocketVariable) : options.socket;
  if (socket.empty()) socket = k8s::kSocketPath;
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, static_cast<int>(absl::ToInt64Milliseconds(options.timeout)));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, static_cast<int>(absl::ToInt64Milliseconds(kFirstRetry)));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, static_cast<int>(absl::ToInt64Milliseconds(kLastRetry)));
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // The proxies of HTTP_PROXY are for the network.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(absl::StrCat("unix:", socket), grpc::InsecureChannelCredentials(), arguments);
}

State FromConfig(const v1::Config& config, const k8s::Environment& environment) {
  if (config.token().empty()) {
    return absl::UnauthenticatedError(
        absl::StrCat("import ", config.name(), ": its token is over: ", config.state_reason()));
  }
  k8s::ClusterAccess access;
  access.server = config.server();
  access.ca_data = config.ca_bundle();
  access.namespace_name = config.namespace_();
  access.cluster_name = config.name();
  access.token = k8s::SecretString(config.token());
  access.proxy_url = k8s::ProxyFor(access, environment);
  return std::make_shared<const k8s::ClusterAccess>(std::move(access));
}

// What the app does about a withdrawn credential is what it does about one that it never had.
absl::Status FromError(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) ? absl::UnauthenticatedError(status.message()) : status;
}

State FromState(const ImportState& state, const k8s::Environment& environment) {
  if (state.has_config()) return FromConfig(state.config(), environment);
  return FromError(k8s::ToStatus(state.name(), state.error()));
}

// Whether the sidecar itself did not answer, so that the files may know more.
bool IsSilence(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE ||
         status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED ||
         status.error_code() == grpc::StatusCode::UNIMPLEMENTED || status.error_code() == grpc::StatusCode::CANCELLED;
}

bool Same(const State& a, const State& b) {
  if (!a.ok() || !b.ok()) return a.status() == b.status();
  return (*a)->server == (*b)->server && (*a)->ca_data == (*b)->ca_data && (*a)->token == (*b)->token &&
         (*a)->namespace_name == (*b)->namespace_name;
}

State FromFiles(const std::string& import, const ConfigOptions& options) {
  const absl::StatusOr<RemoteConfig> config = NamedServiceAccountImportConfigAndNamespace(import, options);
  return config.ok() ? config->Current() : State(config.status());
}

}  // namespace

class SidecarClient::Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(std::vector<std::string> imports, SidecarOptions options)
      : imports_(std::move(imports)),
        options_(std::move(options)),
        stub_(ConfigService::NewStub(Dial(options_))),
        thread_([this] { Run(); }) {
    std::unique_lock lock(mu_);
    changed_.wait(lock, [this] { return tried_; });
  }

  void Stop() {
    {
      std::lock_guard lock(mu_);
      stopping_ = true;
      up_ = false;
    }
    changed_.notify_all();
    thread_.join();
  }

  State Current(const std::string& import) {
    {
      std::lock_guard lock(mu_);
      if (up_) {
        const auto found = states_.find(import);
        if (found != states_.end()) return found->second;
        return absl::NotFoundError(absl::StrCat("import ", import, " is not among those that are watched"));
      }
      if (const auto files = files_.find(import); files != files_.end()) return files->second.Current();
    }
    absl::StatusOr<RemoteConfig> config = NamedServiceAccountImportConfigAndNamespace(import, options_.configs);
    if (!config.ok()) return config.status();
    std::lock_guard lock(mu_);
    return files_.emplace(import, *std::move(config)).first->second.Current();
  }

  State GetConfig(const std::string& import) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + options_.timeout));
    v1::GetConfigRequest request;
    request.set_name(import);
    v1::GetConfigResponse response;
    const grpc::Status status = stub_->GetConfig(&context, request, &response);
    if (status.ok()) return FromConfig(response.config(), options_.configs.environment);
    if (IsSilence(status)) return FromFiles(import, options_.configs);
    return FromError(absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message()));
  }

 private:
  // One call of WatchConfigs.
  class Call : public grpc::ClientReadReactor<WatchConfigsResponse> {
   public:
    explicit Call(Stream& stream) : stream_(stream) {
      for (const std::string& import : stream.imports_) request_.add_names(import);
      stream.stub_->async()->WatchConfigs(&context_, &request_, this);
      StartRead(&response_);
      StartCall();
    }

    void Cancel() { context_.TryCancel(); }

    void OnReadDone(bool ok) override {
      if (!ok) return;
      stream_.Take(response_);
      response_.Clear();
      StartRead(&response_);
    }

    void OnDone(const grpc::Status&) override {
      // The last access: the stream may destroy this as soon as it hears of it.
      stream_.Done();
    }

   private:
    Stream& stream_;
    grpc::ClientContext context_;
    WatchConfigsRequest request_;
    WatchConfigsResponse response_;
  };

  void Run() {
    absl::Duration retry = kFirstRetry;
    std::unique_lock lock(mu_);
    while (!stopping_) {
      done_ = false;
      lock.unlock();
      Call call(*this);
      lock.lock();
      const auto limit = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(options_.timeout);
      changed_.wait_until(lock, limit, [this] { return up_ || done_ || stopping_; });
      if (up_) retry = kFirstRetry;
      if (up_ && !stopping_) changed_.wait(lock, [this] { return done_ || stopping_; });
      if (!done_) call.Cancel();
      changed_.wait(lock, [this] { return done_; });
      up_ = false;
      if (stopping_) break;  // nobody is told of what is there without the stream any more
      lock.unlock();
      TellOfFiles();
      lock.lock();
      tried_ = true;
      changed_.notify_all();
      changed_.wait_for(lock, absl::ToChronoNanoseconds(retry), [this] { return stopping_; });
      retry = std::min(retry * 2, kLastRetry);
    }
  }

  void Take(const WatchConfigsResponse& response) {
    std::map<std::string, State> states;
    for (const ImportState& state : response.imports()) {
      states.emplace(state.name(), FromState(state, options_.configs.environment));
    }
    {
      std::lock_guard lock(mu_);
      if (stopping_) return;
      states_ = states;
      up_ = tried_ = true;
    }
    changed_.notify_all();
    for (const auto& [import, state] : states) Tell(import, state);
  }

  void Done() {
    std::lock_guard lock(mu_);
    done_ = true;
    changed_.notify_all();
  }

  // While there is no stream, changes are looked for at each try to open one.
  void TellOfFiles() {
    if (!options_.on_change) return;
    std::vector<std::string> imports = imports_;
    if (imports.empty()) {
      for (const auto& [import, config] : AllServiceAccountImportConfigsAndNamespaces(options_.configs).configs) {
        imports.push_back(import);
      }
    }
    for (const std::string& import : imports) Tell(import, FromFiles(import, options_.configs));
  }

  // Called by one thread at a time: there is a call, or there are files.
  void Tell(const std::string& import, const State& state) {
    if (!options_.on_change) return;
    const auto told = told_.find(import);
    if (told != told_.end() && Same(told->second, state)) return;
    told_.insert_or_assign(import, state);
    options_.on_change(import, state);
  }

  const std::vector<std::string> imports_;
  const SidecarOptions options_;
  const std::unique_ptr<ConfigService::Stub> stub_;
  std::map<std::string, State> told_;  // what on_change heard last
  std::mutex mu_;
  std::condition_variable changed_;
  bool up_ = false;     // guarded by mu_, as are the next; states_ is what the stream said last
  bool done_ = false;   // the call has ended
  bool tried_ = false;  // the constructor may return
  bool stopping_ = false;
  std::map<std::string, State> states_;
  std::map<std::string, RemoteConfig> files_;  // of the imports that were asked for while there was no stream
  std::thread thread_;                         // last: it uses all of the above
};

SidecarClient::SidecarClient(std::vector<std::string> imports, SidecarOptions options)
    : stream_(std::make_shared<Stream>(std::move(imports), std::move(options))) {}

SidecarClient::~SidecarClient() {
  stream_->Stop();
}

absl::StatusOr<RemoteConfig> SidecarClient::Config(const std::string& import) const {
  class Source final : public ConfigSource {
   public:
    Source(std::shared_ptr<Stream> stream, std::string import)
        : stream_(std::move(stream)), import_(std::move(import)) {}
    State Current() override { return stream_->Current(import_); }

   private:
    const std::shared_ptr<Stream> stream_;
    const std::string import_;
  };
  if (const State state = stream_->Current(import); !state.ok()) return state.status();
  return RemoteConfig(import, Origin::kImport, std::make_shared<Source>(stream_, import));
}

absl::StatusOr<ConfigSnapshot> SidecarClient::GetConfig(const std::string& import) {
  return stream_->GetConfig(import);
}

}  // namespace mcsa
