#include "broker/watch_call.h"

#include <absl/time/clock.h>

#include <utility>

#include "k8s/api/log.h"
#include "k8s/core/remote_config.h"

namespace broker {
namespace {

// How long the first message waits for an import that hangs, before it says of that one that it is not ready.
constexpr absl::Duration kPatience = absl::Seconds(1);

// As Encode() of a snapshot, for an import that there is none of.
grpc::Slice EncodePending(const std::string& import_name) {
  mcsa::v1::WatchConfigsResponse response;
  mcsa::v1::ImportState& state = *response.add_imports();
  state.set_name(import_name);
  state.mutable_error()->set_code(mcsa::v1::ImportError::NOT_READY);
  state.mutable_error()->set_reason("Pending");
  state.mutable_error()->set_message("The broker is still asking for it; it is sent as soon as it is there");
  return grpc::Slice(response.SerializeAsString());
}

grpc::Slice EncodeRefused(const std::string& import_name) {
  mcsa::v1::WatchConfigsResponse response;
  mcsa::v1::ImportState& state = *response.add_imports();
  state.set_name(import_name);
  *state.mutable_error() = k8s::NotListedByPod(import_name);
  return grpc::Slice(response.SerializeAsString());
}

}  // namespace

std::shared_ptr<WatchCall> WatchCall::Start(const Deps& deps, grpc::CallbackServerContext* context) {
  std::shared_ptr<WatchCall> call(new WatchCall(deps, context));
  call->self_ = call;
  return call;
}

void WatchCall::Begin(const absl::StatusOr<Result>& result) {
  const std::shared_ptr<WatchCall> self = shared_from_this();
  absl::Status status = result.status();
  if (status.ok()) status = deps_.on_begin(self, *result);
  if (!status.ok()) {
    std::lock_guard lock(mu_);
    FinishLocked(status);
    return;
  }
  {
    std::lock_guard lock(mu_);
    caller_ = result->caller;
    for (const std::string& name : result->grant.allowed) keys_.push_back({caller_.namespace_name, name});
    refused_ = result->grant.refused;
    audited_.resize(keys_.size());
  }
  deps_.store.Subscribe(self, keys_);
  {
    std::lock_guard lock(mu_);
    joined_ = true;
    if (!done_) {
      // What is there already; of what is not, the store will tell.
      if (!finished_ && !writing_) SendLocked();
      if (!finished_ && !writing_) {
        patience_ = std::make_unique<grpc::Alarm>();
        // An alarm keeps its function even after it rang: with `self` in it, the call would own itself for ever.
        patience_->Set(absl::ToChronoTime(absl::Now() + kPatience), [call = weak_from_this()](bool) {
          if (const std::shared_ptr<WatchCall> alive = call.lock()) alive->StopWaiting();
        });
      }
      return;
    }
  }
  Leave();  // gRPC let go before there was anything to leave
}

bool WatchCall::IsFinished() {
  std::lock_guard lock(mu_);
  return finished_;
}

void WatchCall::End(const absl::Status& status) {
  std::lock_guard lock(mu_);
  if (finished_) return;
  if (!writing_) {
    FinishLocked(status);
  } else {
    context_->TryCancel();  // OnCancel finishes
  }
}

void WatchCall::OnChange() {
  std::lock_guard lock(mu_);
  if (finished_) return;
  if (writing_) {
    dirty_ = true;
  } else {
    SendLocked();
  }
}

void WatchCall::OnWriteDone(bool ok) {
  std::lock_guard lock(mu_);
  writing_ = false;
  message_.Clear();
  if (finished_) return;
  if (!ok) {
    FinishLocked(absl::CancelledError("the reader is gone"));
  } else if (std::exchange(dirty_, false)) {
    SendLocked();
  }
}

void WatchCall::OnCancel() {
  std::lock_guard lock(mu_);
  FinishLocked(absl::CancelledError("cancelled"));
}

void WatchCall::OnDone() {
  const std::shared_ptr<WatchCall> self = std::move(self_);  // this object's life ends with it
  {
    std::lock_guard lock(mu_);
    done_ = true;
    if (!joined_) return;
  }
  Leave();
}

void WatchCall::StopWaiting() {
  std::lock_guard lock(mu_);
  if (std::exchange(waits_, false) && !finished_ && !writing_) SendLocked();
}

void WatchCall::SendLocked() {
  const absl::Duration now = deps_.clock.Monotonic();
  std::vector<ConfigStore::Pointer> snapshots;
  for (const k8s::ObjectKey& key : keys_) {
    snapshots.push_back(deps_.store.Get(key));
    if (snapshots.back() == nullptr && waits_) return;  // the store tells when it is there
  }
  if (!waits_ && snapshots == sent_) return;  // told of what Begin found by itself
  waits_ = false;
  std::vector<grpc::Slice> imports;
  auto refused = refused_.begin();
  for (size_t i = 0; i < keys_.size(); ++i) {
    for (; refused != refused_.end() && *refused < keys_[i].name; ++refused) imports.push_back(EncodeRefused(*refused));
    if (snapshots[i] == nullptr) {
      imports.push_back(EncodePending(keys_[i].name));
      continue;
    }
    imports.push_back(Encode(*snapshots[i], now));
    if (snapshots[i]->config && !audited_[i]) {
      audited_[i] = true;
      AuditGrant(caller_, *snapshots[i]);
    }
  }
  for (; refused != refused_.end(); ++refused) imports.push_back(EncodeRefused(*refused));
  sent_ = std::move(snapshots);
  message_ = grpc::ByteBuffer(imports.data(), imports.size());
  writing_ = true;
  deps_.on_message();
  StartWrite(&message_);
}

void WatchCall::FinishLocked(const absl::Status& status) {
  if (std::exchange(finished_, true)) return;
  Finish(ToGrpc(status));
}

// Both may come to it: who sees the other's mark does it, once.
void WatchCall::Leave() {
  const std::shared_ptr<WatchCall> self = shared_from_this();
  {
    std::lock_guard lock(mu_);
    if (!std::exchange(joined_, false)) return;
  }
  deps_.store.Unsubscribe(self, keys_);
  deps_.on_end(self, caller_.pod_uid);
}

grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

void AuditGrant(const Caller& caller, const ConfigSnapshot& snapshot) {
  k8s::Audit("ConfigGranted", {{"import", k8s::ToString({caller.namespace_name, snapshot.import_name})},
                               {"tokenId", snapshot.config ? snapshot.config->token.token_id : ""},
                               {"pod", k8s::ToString({caller.namespace_name, caller.pod_name})},
                               {"podUid", caller.pod_uid},
                               {"podAccount", caller.account},
                               {"podTokenId", caller.token_id},
                               {"rule", "listed-by-pod"}});
}

}  // namespace broker
