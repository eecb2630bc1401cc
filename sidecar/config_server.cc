#include "sidecar/config_server.h"

#include <absl/status/status.h>
#include <grpcpp/ext/health_check_service_server_builder_option.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <iterator>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "k8s/core/remote_config.h"
#include "mcsa/v1/config_service.grpc.pb.h"

namespace sidecar {
namespace {

using ::mcsa::v1::ConfigService;
using ::mcsa::v1::GetConfigRequest;
using ::mcsa::v1::GetConfigResponse;
using ::mcsa::v1::ImportState;
using ::mcsa::v1::ListConfigsRequest;
using ::mcsa::v1::ListConfigsResponse;
using ::mcsa::v1::WatchConfigsRequest;
using ::mcsa::v1::WatchConfigsResponse;

constexpr int kMaxRequestBytes = 64 << 10;  // requests hold names
constexpr int kMaxCallsPerConnection = 128;
constexpr size_t kMaxStreams = 256;
constexpr int kHandshakeTimeoutMs = 10'000;
constexpr int kMinPingIntervalMs = 1'000;

// An import as published.
struct Entry {
  ConfigServer::Import import;
  uint64_t changed_in = 0;  // the snapshot that changed it
  // GetConfigResponse without expires_in, which is appended: a message field that comes in two parts is merged.
  grpc::Slice response;
};

// Never changed once built.
struct Snapshot {
  uint64_t number = 0;
  std::vector<Entry> entries;  // in the order of their names

  const Entry* Find(const std::string& name) const {
    const auto found =
        std::lower_bound(entries.begin(), entries.end(), name,
                         [](const Entry& entry, const std::string& n) { return entry.import.state.name() < n; });
    return found != entries.end() && found->import.state.name() == name ? &*found : nullptr;
  }
};

void SetExpiresIn(const ConfigServer::Import& import, absl::Duration now, mcsa::v1::Config& config) {
  if (import.ends_at != absl::InfiniteDuration()) {
    k8s::SetDuration(import.ends_at - now, *config.mutable_expires_in());
  }
}

ImportState StateOf(const Entry& entry, absl::Duration now) {
  ImportState state = entry.import.state;
  if (state.has_config()) SetExpiresIn(entry.import, now, *state.mutable_config());
  return state;
}

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

std::vector<Entry> BuildEntries(std::vector<ConfigServer::Import> imports, const Snapshot* before, uint64_t number) {
  std::vector<Entry> entries(imports.size());
  for (size_t i = 0; i < imports.size(); ++i) {
    ImportState& state = imports[i].state;
    if (state.has_config()) state.mutable_config()->clear_expires_in();
    Entry& entry = entries[i];
    const bool same = before != nullptr && before->entries[i].import.ends_at == imports[i].ends_at &&
                      before->entries[i].import.state.SerializeAsString() == state.SerializeAsString();
    entry.changed_in = same ? before->entries[i].changed_in : number;
    if (state.has_config()) {
      GetConfigResponse response;
      response.mutable_config()->Swap(state.mutable_config());
      entry.response = grpc::Slice(response.SerializeAsString());
      response.mutable_config()->Swap(state.mutable_config());
    }
    entry.import = std::move(imports[i]);
  }
  return entries;
}

// gRPC's own methods of the service, of which GetConfig reads and writes bytes.
using ServiceBase = ConfigService::WithRawCallbackMethod_GetConfig<ConfigService::WithCallbackMethod_ListConfigs<
    ConfigService::WithCallbackMethod_WatchConfigs<ConfigService::Service>>>;

}  // namespace

class ConfigServer::Service : public ServiceBase {
 public:
  Service(const k8s::Clock& clock, std::vector<Import> imports) : clock_(clock) {
    Replace(std::move(imports));
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    builder.RegisterService(this);
    builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxCallsPerConnection);
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeTimeoutMs);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kMinPingIntervalMs);
    acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, grpc::InsecureServerCredentials());
    server_ = builder.BuildAndStart();
  }

  ~Service() override {
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
  }

  void Publish(std::vector<Import> imports) {
    Replace(std::move(imports));
    std::set<std::shared_ptr<Stream>> streams;
    {
      std::lock_guard lock(mu_);
      streams = streams_;
    }
    for (const auto& stream : streams) stream->WriteIfChanged();
  }

  void Serve(int socket) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
    parameters.fd = socket;
    acceptor_->HandleNewConnection(&parameters);
  }

  grpc::ServerUnaryReactor* GetConfig(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                      grpc::ByteBuffer* response) override {
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(Answer(*request, *response));
    return reactor;
  }

  grpc::ServerUnaryReactor* ListConfigs(grpc::CallbackServerContext* context, const ListConfigsRequest*,
                                        ListConfigsResponse* response) override {
    const std::shared_ptr<const Snapshot> snapshot = Current();
    for (const Entry& entry : snapshot->entries) *response->add_imports() = StateOf(entry, clock_.Monotonic());
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  grpc::ServerWriteReactor<WatchConfigsResponse>* WatchConfigs(grpc::CallbackServerContext*,
                                                               const WatchConfigsRequest* request) override {
    auto stream =
        std::make_shared<Stream>(*this, std::set<std::string>(request->names().begin(), request->names().end()));
    std::unique_lock lock(mu_);
    if (streams_.size() >= kMaxStreams) {
      lock.unlock();
      stream->Refuse(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                                  "this pod has too many streams open; close some, then call again with back-off"));
    } else {
      streams_.insert(stream);
      lock.unlock();
      stream->WriteIfChanged();
    }
    return stream->KeepUntilDone();
  }

 private:
  // One call of WatchConfigs. At most one message is on its way; when it is out, the newest follows.
  class Stream : public grpc::ServerWriteReactor<WatchConfigsResponse>, public std::enable_shared_from_this<Stream> {
   public:
    Stream(Service& service, std::set<std::string> names) : service_(service), names_(std::move(names)) {}

    Stream* KeepUntilDone() {
      self_ = shared_from_this();
      return this;
    }

    void Refuse(const grpc::Status& status) {
      closed_ = true;
      Finish(status);
    }

    void WriteIfChanged() {
      {
        std::lock_guard lock(mu_);
        if (closed_ || writing_ || !FillChanged()) return;
        writing_ = true;
      }
      // Without the lock: gRPC may call back from here.
      StartWrite(&response_);
    }

    void OnWriteDone(bool ok) override {
      {
        std::lock_guard lock(mu_);
        writing_ = false;
        if (!ok) cancelled_ = true;
      }
      FinishIfCancelled();
      WriteIfChanged();
    }

    void OnCancel() override {
      {
        std::lock_guard lock(mu_);
        cancelled_ = true;
      }
      FinishIfCancelled();
    }

    void OnDone() override {
      const std::shared_ptr<Stream> self = std::move(self_);
      service_.Remove(self);
    }

   private:
    void FinishIfCancelled() {
      {
        std::lock_guard lock(mu_);
        if (!cancelled_ || writing_ || closed_) return;
        closed_ = true;
      }
      Finish(grpc::Status::CANCELLED);
    }

    // Builds the next message unless all that it would hold was sent before.
    bool FillChanged() {
      const std::shared_ptr<const Snapshot> snapshot = service_.Current();
      const absl::Duration now = service_.clock_.Monotonic();
      bool changed = !sent_any_;
      response_.Clear();
      for (const Entry& entry : snapshot->entries) {
        if (!names_.empty() && !names_.contains(entry.import.state.name())) continue;
        changed |= entry.changed_in > sent_;
        *response_.add_imports() = StateOf(entry, now);
      }
      for (const std::string& name : names_) {
        if (snapshot->Find(name) != nullptr) continue;
        ImportState& state = *response_.add_imports();
        state.set_name(name);
        *state.mutable_error() = k8s::NotListedByPod(name);
      }
      sent_ = snapshot->number;
      sent_any_ = true;
      return changed;
    }

    Service& service_;
    const std::set<std::string> names_;  // empty: all
    std::shared_ptr<Stream> self_;       // until gRPC is done with it
    std::mutex mu_;
    bool writing_ = false;           // guarded by mu_
    bool cancelled_ = false;         // guarded by mu_
    bool closed_ = false;            // guarded by mu_
    bool sent_any_ = false;          // guarded by mu_
    uint64_t sent_ = 0;              // guarded by mu_; the number of the snapshot that was sent last
    WatchConfigsResponse response_;  // guarded by mu_ unless writing_
  };

  void Replace(std::vector<Import> imports) {
    const std::shared_ptr<const Snapshot> before = Current();
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->number = before ? before->number + 1 : 1;
    snapshot->entries = BuildEntries(std::move(imports), before.get(), snapshot->number);
    std::lock_guard lock(mu_);
    snapshot_ = std::move(snapshot);
  }

  std::shared_ptr<const Snapshot> Current() const {
    std::lock_guard lock(mu_);
    return snapshot_;
  }

  void Remove(const std::shared_ptr<Stream>& stream) {
    std::lock_guard lock(mu_);
    streams_.erase(stream);
  }

  grpc::Status Answer(const grpc::ByteBuffer& bytes, grpc::ByteBuffer& response) const {
    grpc::Slice slice;
    GetConfigRequest request;
    if (bytes.Length() > 0 && !bytes.DumpToSingleSlice(&slice).ok()) {
      return {grpc::StatusCode::INTERNAL, "the request cannot be read"};
    }
    if (!request.ParseFromArray(slice.begin(), static_cast<int>(slice.size()))) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "the request is no GetConfigRequest"};
    }
    if (request.name().empty()) return {grpc::StatusCode::INVALID_ARGUMENT, "name is required"};
    const std::shared_ptr<const Snapshot> snapshot = Current();
    const Entry* const entry = snapshot->Find(request.name());
    if (entry == nullptr) return ToGrpc(k8s::ToStatus(request.name(), k8s::NotListedByPod(request.name())));
    if (!entry->import.state.has_config()) {
      return ToGrpc(k8s::ToStatus(request.name(), entry->import.state.error()));
    }
    GetConfigResponse rest;
    SetExpiresIn(entry->import, clock_.Monotonic(), *rest.mutable_config());
    // A slice of some 20 bytes needs no memory of its own.
    char rest_bytes[64];
    const int rest_size = static_cast<int>(rest.ByteSizeLong());
    if (!rest.SerializeToArray(rest_bytes, sizeof(rest_bytes))) return {grpc::StatusCode::INTERNAL, "too long a life"};
    const grpc::Slice slices[] = {entry->response, grpc::Slice(rest_bytes, static_cast<size_t>(rest_size))};
    response = grpc::ByteBuffer(slices, std::size(slices));
    return grpc::Status::OK;
  }

  const k8s::Clock& clock_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
  mutable std::mutex mu_;
  std::shared_ptr<const Snapshot> snapshot_;   // guarded by mu_
  std::set<std::shared_ptr<Stream>> streams_;  // guarded by mu_
};

ConfigServer::ConfigServer(const k8s::Clock& clock, std::vector<Import> imports)
    : service_(std::make_unique<Service>(clock, std::move(imports))) {}

ConfigServer::~ConfigServer() = default;

void ConfigServer::Publish(std::vector<Import> imports) {
  service_->Publish(std::move(imports));
}

void ConfigServer::Serve(int socket) {
  service_->Serve(socket);
}

}  // namespace sidecar
