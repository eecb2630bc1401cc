#include "broker/config_service.h"

#include <absl/strings/str_cat.h>

#include <chrono>
#include <condition_variable>
#include <optional>
#include <utility>

#include "k8s/core/remote_config.h"

namespace broker {
namespace {

// How long a call waits for an import that nobody asked for before: a read of its Secret, or a TokenRequest.
constexpr std::chrono::seconds kReadTimeout(5);

const absl::Status kStopping = absl::UnavailableError("this replica stops; call another one");
const absl::Status kNoRoom =
    absl::ResourceExhaustedError("too many calls of this peer or of all wait already; call again with back-off");

k8s::SecretString AuthorizationOf(const grpc::CallbackServerContext& context) {
  const auto found = context.client_metadata().find("authorization");
  if (found == context.client_metadata().end()) return {};
  return k8s::SecretString({found->second.data(), found->second.size()});
}

// The names that a WatchConfigsRequest asks for, or nullopt if it is none.
std::optional<std::vector<std::string>> NamesOf(const grpc::ByteBuffer& bytes) {
  mcsa::v1::WatchConfigsRequest request;
  grpc::Slice slice;
  if (bytes.Length() > 0 && !bytes.DumpToSingleSlice(&slice).ok()) return std::nullopt;
  if (!request.ParseFromArray(slice.begin(), static_cast<int>(slice.size()))) return std::nullopt;
  return std::vector<std::string>(request.names().begin(), request.names().end());
}

// "ipv4:10.0.0.7:41234" without the port: a pod, as a rule.
std::string HostOf(const grpc::CallbackServerContext& context) {
  const std::string peer = context.peer();
  return peer.substr(0, peer.rfind(':'));
}

// Waits until all that it subscribed to is there.
class Reader final : public ConfigStore::Subscriber {
 public:
  void OnChange() override {
    std::lock_guard lock(mu_);
    changed_.notify_all();
  }

  std::vector<ConfigStore::Pointer> Await(const ConfigStore& store, const std::vector<k8s::ObjectKey>& keys) {
    const auto end = std::chrono::steady_clock::now() + kReadTimeout;
    std::unique_lock lock(mu_);
    while (true) {
      std::vector<ConfigStore::Pointer> snapshots;
      bool whole = true;
      for (const k8s::ObjectKey& key : keys) {
        snapshots.push_back(store.Get(key));
        whole &= snapshots.back() != nullptr;
      }
      if (whole || changed_.wait_until(lock, end) == std::cv_status::timeout) return snapshots;
    }
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
};

std::vector<k8s::ObjectKey> KeysOf(const CallerAuthenticator::Result& result) {
  std::vector<k8s::ObjectKey> keys;
  for (const std::string& name : result.grant.allowed) keys.push_back({result.caller.namespace_name, name});
  return keys;
}

absl::Status NotRead(const std::string& name) {
  return absl::UnavailableError(absl::StrCat(name, ": could not be read in time; call again with back-off"));
}

}  // namespace

ConfigService::ConfigService(ConfigStore& store, const CallerAuthenticator& authenticator, const k8s::Clock& clock,
                             Metrics& metrics, size_t max_streams)
    : store_(store),
      authenticator_(authenticator),
      clock_(clock),
      metrics_(metrics),
      max_streams_(max_streams),
      watch_deps_{.store = store,
                  .clock = clock,
                  .on_begin = [this](const auto& call, const Result& result) { return BeginStream(call, result); },
                  .on_end = [this](const auto& call, const std::string& uid) { EndStream(call, uid); },
                  .on_message = [this] { metrics_.CountStreamMessage(); }},
      limits_(CallerLimits::Limits()),
      queue_(CallQueue::Limits()) {}

grpc::ServerUnaryReactor* ConfigService::GetConfig(grpc::CallbackServerContext* context,
                                                   const mcsa::v1::GetConfigRequest* request,
                                                   mcsa::v1::GetConfigResponse* response) {
  const std::string& name = request->name();
  return Answer(context, "GetConfig", {name}, [this, name, response](const Result& result, const Snapshots& snapshots) {
    if (snapshots.empty()) return k8s::ToStatus(name, k8s::NotListedByPod(name));
    const ConfigStore::Pointer& snapshot = snapshots.front();
    if (snapshot == nullptr) return NotRead(name);
    if (!snapshot->config) return ToStatus(*snapshot);
    mcsa::v1::ImportState state;
    FillImportState(*snapshot, clock_.Monotonic(), state);
    *response->mutable_config() = std::move(*state.mutable_config());
    AuditGrant(result.caller, *snapshot);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ConfigService::ListConfigs(grpc::CallbackServerContext* context,
                                                     const mcsa::v1::ListConfigsRequest*,
                                                     mcsa::v1::ListConfigsResponse* response) {
  return Answer(context, "ListConfigs", {}, [this, response](const Result& result, const Snapshots& snapshots) {
    for (size_t i = 0; i < snapshots.size(); ++i) {
      if (snapshots[i] == nullptr) return NotRead(result.grant.allowed[i]);
      FillImportState(*snapshots[i], clock_.Monotonic(), *response->add_imports());
      if (snapshots[i]->config) AuditGrant(result.caller, *snapshots[i]);
    }
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ConfigService::Answer(grpc::CallbackServerContext* context, const char* method,
                                                std::vector<std::string> names, Respond respond) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();  // it and the messages live until Finish
  const auto finish = [this, reactor, method](const absl::Status& status) {
    metrics_.CountCall(method, status);
    reactor->Finish(ToGrpc(status));
  };
  const bool has_room =
      queue_.Submit(HostOf(*context), [this, context, finish, names = std::move(names), respond = std::move(respond),
                                       authorization = AuthorizationOf(*context)] {
        if (context->IsCancelled()) return finish(absl::CancelledError("cancelled"));
        const absl::StatusOr<Result> result = Admit(authorization, names);
        finish(result.ok() ? respond(*result, Read(*result)) : result.status());
      });
  if (!has_room) finish(kNoRoom);
  return reactor;
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* ConfigService::WatchConfigs(grpc::CallbackServerContext* context,
                                                                        const grpc::ByteBuffer* request) {
  const std::shared_ptr<WatchCall> call = WatchCall::Start(watch_deps_, context);
  const auto begin = [this, call](const absl::StatusOr<Result>& result) {
    metrics_.CountCall("WatchConfigs", result.status());
    call->Begin(result);
  };
  const std::optional<std::vector<std::string>> names = NamesOf(*request);
  if (!names) {
    begin(absl::InvalidArgumentError("the request is no WatchConfigsRequest"));
    return call.get();
  }
  const bool has_room =
      queue_.Submit(HostOf(*context), [this, call, begin, names = *names, authorization = AuthorizationOf(*context)] {
        if (!call->IsFinished()) begin(Admit(authorization, names));
      });
  if (!has_room) begin(kNoRoom);
  return call.get();
}

absl::StatusOr<ConfigService::Result> ConfigService::Admit(const k8s::SecretString& authorization,
                                                           const std::vector<std::string>& names) {
  if (stopping_) return kStopping;
  absl::StatusOr<Result> result = authenticator_.Authenticate(authorization.Reveal(), names);
  if (!result.ok()) return result;
  if (absl::Status status = limits_.Admit(result->caller.pod_uid, clock_.Monotonic()); !status.ok()) return status;
  return result;
}

ConfigService::Snapshots ConfigService::Read(const Result& result) {
  const std::vector<k8s::ObjectKey> keys = KeysOf(result);
  const auto reader = std::make_shared<Reader>();
  store_.Subscribe(reader, keys);
  Snapshots snapshots = reader->Await(store_, keys);
  store_.Unsubscribe(reader, keys);
  return snapshots;
}

absl::Status ConfigService::BeginStream(const std::shared_ptr<WatchCall>& call, const Result& result) {
  const std::string& uid = result.caller.pod_uid;
  if (absl::Status status = limits_.Open(uid, clock_.Monotonic()); !status.ok()) return status;
  {
    std::lock_guard lock(mu_);
    if (stream_count_ == max_streams_) {
      limits_.Close(uid, clock_.Monotonic());
      return absl::ResourceExhaustedError("this replica has as many streams as its memory allows; try another");
    }
    streams_[uid].insert(call);
    metrics_.SetStreams(++stream_count_);
  }
  // What happened before the stream was in the list found nothing to end.
  absl::Status status;
  if (stopping_) status = kStopping;
  if (result.watched && authenticator_.IsGone(result.caller)) status = absl::UnauthenticatedError("the pod is gone");
  if (!status.ok()) EndStream(call, uid);
  return status;
}

void ConfigService::EndStream(const std::shared_ptr<WatchCall>& call, const std::string& pod_uid) {
  limits_.Close(pod_uid, clock_.Monotonic());
  std::lock_guard lock(mu_);
  const auto of_pod = streams_.find(pod_uid);
  if (of_pod == streams_.end() || of_pod->second.erase(call) == 0) return;
  if (of_pod->second.empty()) streams_.erase(of_pod);
  metrics_.SetStreams(--stream_count_);
}

void ConfigService::EndStreamsOf(const std::string& pod_uid) {
  std::set<std::shared_ptr<WatchCall>> calls;
  {
    std::lock_guard lock(mu_);
    const auto of_pod = streams_.find(pod_uid);
    if (of_pod == streams_.end()) return;
    calls = of_pod->second;
  }
  for (const auto& call : calls) call->End(absl::UnauthenticatedError("the pod is gone"));
}

void ConfigService::Stop() {
  stopping_ = true;
  std::vector<std::shared_ptr<WatchCall>> calls;
  {
    std::lock_guard lock(mu_);
    for (const auto& [uid, of_pod] : streams_) calls.insert(calls.end(), of_pod.begin(), of_pod.end());
  }
  for (const auto& call : calls) call->End(kStopping);
}

size_t ConfigService::streams() const {
  std::lock_guard lock(mu_);
  return stream_count_;
}

}  // namespace broker
