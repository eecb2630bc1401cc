#include "broker/caller_authenticator.h"

#include <absl/strings/str_cat.h>

#include <memory>
#include <utility>

#include "k8s/core/names.h"

namespace broker {
namespace {

absl::Status Unavailable(const char* tried, const absl::Status& error) {
  return absl::UnavailableError(
      absl::StrCat(tried, " failed: ", std::string(error.message()), "; call again with back-off, or another replica"));
}

}  // namespace

absl::StatusOr<CallerAuthenticator::Result> CallerAuthenticator::Authenticate(
    std::string_view authorization, const std::vector<std::string>& names) const {
  absl::StatusOr<k8s::BoundToken> token = ParseBearer(authorization);
  if (!token.ok()) return token.status();
  const std::string_view text = token->token.Reveal();
  const absl::StatusOr<k8s::Json> review = target_.Create(
      k8s::kTokenReviews, "",
      k8s::JsonObject{{"apiVersion", "authentication.k8s.io/v1"},
                      {"kind", "TokenReview"},
                      {"spec", k8s::JsonObject{{"token", boost::json::string_view(text.data(), text.size())},
                                               {"audiences", k8s::JsonArray{k8s::kBrokerAudience}}}}});
  if (!review.ok()) return Unavailable("TokenReview", review.status());
  absl::StatusOr<Caller> caller = ParseTokenReview(*review, *token);
  if (!caller.ok()) return caller.status();

  const k8s::ObjectKey key{caller->namespace_name, caller->pod_name};
  auto pod = pods_.Get(key);
  const bool watched = pod != nullptr && pod->uid == caller->pod_uid;
  if (!watched) {
    // A new pod calls before the watch shows it.
    const absl::StatusOr<k8s::Json> live = target_.Get(k8s::kPods, key);
    if (!live.ok() && !absl::IsNotFound(live.status())) return Unavailable("reading the caller's pod", live.status());
    pod = live.ok() ? std::make_shared<const InjectedPod>(ParseInjectedPod(*live)) : nullptr;
  }
  absl::StatusOr<Grant> grant = AuthorizeCaller(*caller, pod.get(), names);
  if (!grant.ok()) return grant.status();
  return Result{.caller = *std::move(caller), .grant = *std::move(grant), .watched = watched};
}

bool CallerAuthenticator::IsGone(const Caller& caller) const {
  const auto pod = pods_.Get({caller.namespace_name, caller.pod_name});
  return pod == nullptr || pod->uid != caller.pod_uid;
}

}  // namespace broker
