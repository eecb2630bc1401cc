#ifndef BROKER_CONFIG_SERVICE_H_
#define BROKER_CONFIG_SERVICE_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "broker/call_queue.h"
#include "broker/caller_authenticator.h"
#include "broker/caller_limits.h"
#include "broker/config_store.h"
#include "broker/metrics.h"
#include "broker/watch_call.h"
#include "k8s/api/clock.h"
#include "k8s/core/secret_string.h"
#include "mcsa/v1/config_service.grpc.pb.h"

namespace broker {

// gRPC's own methods of the service, of which WatchConfigs reads and writes bytes: a message for a thousand streams is
// serialized once.
using ConfigServiceMethods =
    mcsa::v1::ConfigService::WithCallbackMethod_GetConfig<mcsa::v1::ConfigService::WithCallbackMethod_ListConfigs<
        mcsa::v1::ConfigService::WithRawCallbackMethod_WatchConfigs<mcsa::v1::ConfigService::Service>>>;

// mcsa.v1.ConfigService by gRPC's callback API: a stream costs memory, and no thread. Who calls is found out in the
// threads of a CallQueue.
//
// Borrows all references. It must outlive the gRPC server that it is registered with. Thread-safe.
class ConfigService final : public ConfigServiceMethods {
 public:
  // `max_streams` at once, of all callers together.
  ConfigService(ConfigStore& store, const CallerAuthenticator& authenticator, const k8s::Clock& clock, Metrics& metrics,
                size_t max_streams);

  grpc::ServerUnaryReactor* GetConfig(grpc::CallbackServerContext* context, const mcsa::v1::GetConfigRequest* request,
                                      mcsa::v1::GetConfigResponse* response) override;
  grpc::ServerUnaryReactor* ListConfigs(grpc::CallbackServerContext* context,
                                        const mcsa::v1::ListConfigsRequest* request,
                                        mcsa::v1::ListConfigsResponse* response) override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* WatchConfigs(grpc::CallbackServerContext* context,
                                                           const grpc::ByteBuffer* request) override;

  // Ends the streams of a pod that is gone.
  void EndStreamsOf(const std::string& pod_uid);

  // Ends all streams and refuses further calls, so that their clients go to another replica at once.
  void Stop();

  size_t streams() const;

 private:
  using Result = CallerAuthenticator::Result;
  using Snapshots = std::vector<ConfigStore::Pointer>;  // null: not read in time
  // Makes the response from what the caller asked for; the snapshots are those of grant.allowed.
  using Respond = std::function<absl::Status(const Result&, const Snapshots&)>;

  // `method` has static storage.
  grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, const char* method,
                                   std::vector<std::string> names, Respond respond);
  absl::StatusOr<Result> Admit(const k8s::SecretString& authorization, const std::vector<std::string>& names);
  Snapshots Read(const Result& result);
  absl::Status BeginStream(const std::shared_ptr<WatchCall>& call, const Result& result);
  void EndStream(const std::shared_ptr<WatchCall>& call, const std::string& pod_uid);

  ConfigStore& store_;
  const CallerAuthenticator& authenticator_;
  const k8s::Clock& clock_;
  Metrics& metrics_;
  const size_t max_streams_;
  const WatchCall::Deps watch_deps_;
  CallerLimits limits_;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mu_;
  std::map<std::string, std::set<std::shared_ptr<WatchCall>>> streams_;  // guarded by mu_; by the pod's UID
  size_t stream_count_ = 0;                                              // guarded by mu_
  CallQueue queue_;                                                      // last: its threads use the rest
};

}  // namespace broker

#endif  // BROKER_CONFIG_SERVICE_H_
