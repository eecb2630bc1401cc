#ifndef BROKER_WATCH_CALL_H_
#define BROKER_WATCH_CALL_H_

#include <absl/status/statusor.h>
#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "broker/caller_authenticator.h"
#include "broker/config_store.h"
#include "k8s/api/clock.h"
#include "mcsa/v1/config_service.grpc.pb.h"

namespace broker {

// One WatchConfigs call: subscribes to the caller's imports and sends a whole message whenever one of them changes. At
// most one message is under way; what changes meanwhile is in the next one, so a slow reader gets the newest and costs
// no memory.
//
// gRPC calls its reactions in threads of its own; all functions are thread-safe. It owns itself from Start() until gRPC
// is done with it.
class WatchCall final : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                        public ConfigStore::Subscriber,
                        public std::enable_shared_from_this<WatchCall> {
 public:
  using Result = CallerAuthenticator::Result;

  // All borrowed; each outlives the gRPC server.
  struct Deps {
    ConfigStore& store;
    const k8s::Clock& clock;
    // The stream of this caller begins: OK, or why it may not. Each OK is followed by an on_end in the end.
    std::function<absl::Status(const std::shared_ptr<WatchCall>&, const Result&)> on_begin;
    std::function<void(const std::shared_ptr<WatchCall>&, const std::string& pod_uid)> on_end;
    std::function<void()> on_message;
  };

  // `context` is gRPC's, of this call.
  static std::shared_ptr<WatchCall> Start(const Deps& deps, grpc::CallbackServerContext* context);

  // Who calls is known, or will not be.
  void Begin(const absl::StatusOr<Result>& result);

  bool IsFinished();

  // Ends the stream, now: a message that its reader does not take is cut off, and then so is the status.
  void End(const absl::Status& status);

  void OnChange() override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  WatchCall(const Deps& deps, grpc::CallbackServerContext* context) : deps_(deps), context_(context) {}

  void SendLocked();
  void StopWaiting();
  void FinishLocked(const absl::Status& status);
  void Leave();

  const Deps& deps_;
  grpc::CallbackServerContext* const context_;  // until finished_
  std::shared_ptr<WatchCall> self_;             // until OnDone

  std::mutex mu_;
  // All below is guarded by mu_.
  bool finished_ = false;
  bool done_ = false;    // gRPC has let go
  bool joined_ = false;  // subscribed and counted, and not yet left
  bool dirty_ = false;   // something changed since the message under way was made
  Caller caller_;
  std::vector<k8s::ObjectKey> keys_;        // constant once set, by Begin
  std::vector<std::string> refused_;        // as above
  std::vector<bool> audited_;               // of keys_
  bool waits_ = true;                       // for what could not be read yet, so that the first message is whole
  std::unique_ptr<grpc::Alarm> patience_;   // ends waits_
  std::vector<ConfigStore::Pointer> sent_;  // in the last message, in the order of keys_
  bool writing_ = false;                    // message_ is under way
  grpc::ByteBuffer message_;                // a WatchConfigsResponse
};

// The codes are the same by definition.
grpc::Status ToGrpc(const absl::Status& status);

// One line each time that a caller is given an import's credential.
void AuditGrant(const Caller& caller, const ConfigSnapshot& snapshot);

}  // namespace broker

#endif  // BROKER_WATCH_CALL_H_
