#ifndef BROKER_ENCODED_STATE_H_
#define BROKER_ENCODED_STATE_H_

#include <absl/functional/function_ref.h>
#include <absl/time/time.h>
#include <grpcpp/support/slice.h>

#include <mutex>

#include "mcsa/v1/config_service.pb.h"

namespace broker {

// A WatchConfigsResponse of one import as bytes. All who ask for it within a moment share them: when a thousand streams
// are told of a new token, it is serialized once. Several of them one behind the other are one response that holds all
// imports, as Protobuf reads repeated fields.
//
// A cache: a copy begins without them. Thread-safe.
class EncodedState {
 public:
  EncodedState() = default;
  EncodedState(const EncodedState&) {}
  EncodedState& operator=(const EncodedState&) = delete;

  // `make` fills in what is true at `now`, on the monotonic clock. What is returned was true at most kMoment before:
  // `expires_in` is that much too long, less than a message may take on its way. The memory is wiped when the last
  // slice of it goes.
  grpc::Slice Get(absl::Duration now, absl::FunctionRef<void(mcsa::v1::ImportState&)> make) const;

  static constexpr absl::Duration kMoment = absl::Milliseconds(100);

 private:
  mutable std::mutex mu_;
  mutable grpc::Slice bytes_;                                   // guarded by mu_
  mutable absl::Duration made_at_ = -absl::InfiniteDuration();  // guarded by mu_
};

}  // namespace broker

#endif  // BROKER_ENCODED_STATE_H_
