#ifndef BROKER_CALLER_AUTHENTICATOR_H_
#define BROKER_CALLER_AUTHENTICATOR_H_

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "broker/authorize_caller.h"
#include "k8s/api/client.h"
#include "k8s/api/informer_store.h"

namespace broker {

// Finds out who calls and what it may have: a TokenReview, then the live pod. Keeps nothing: a call that is granted is
// granted once. Borrows both. Thread-safe; blocks for as long as the API server takes.
class CallerAuthenticator {
 public:
  struct Result {
    Caller caller;
    Grant grant;
    bool watched = false;  // the watch of pods shows the caller's, so it will also tell when it goes
  };

  // `pods`: all that carry kInjectedLabel.
  CallerAuthenticator(const k8s::Client& target, const k8s::InformerStore<InjectedPod>& pods)
      : target_(target), pods_(pods) {}

  // `authorization`: the metadata of that name. Errors: those of config_service.proto; UNAVAILABLE also when the API
  // server cannot be asked.
  absl::StatusOr<Result> Authenticate(std::string_view authorization, const std::vector<std::string>& names) const;

  // Whether the pod went since. Only to be asked about a result that is `watched`.
  bool IsGone(const Caller& caller) const;

 private:
  const k8s::Client& target_;
  const k8s::InformerStore<InjectedPod>& pods_;
};

}  // namespace broker

#endif  // BROKER_CALLER_AUTHENTICATOR_H_
