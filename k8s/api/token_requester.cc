#include "k8s/api/token_requester.h"

#include <absl/strings/str_cat.h>

#include <string>
#include <utility>

#include "k8s/api/status_from_http.h"

namespace k8s {

absl::StatusOr<BoundToken> RequestToken(const Client& client, const ObjectKey& account,
                                        const std::vector<std::string>& audiences, absl::Duration lifetime) {
  JsonObject spec{{"expirationSeconds", absl::ToInt64Seconds(lifetime)}};
  if (!audiences.empty()) spec["audiences"] = ToJsonArray(audiences);
  const JsonObject request{
      {"apiVersion", "authentication.k8s.io/v1"}, {"kind", "TokenRequest"}, {"spec", std::move(spec)}};
  absl::StatusOr<Json> answer = client.CreateSubresource(kServiceAccounts, account, "token", request);
  // Who revokes when an account is gone must not take a proxy's 404 for that.
  if (absl::IsNotFound(answer.status()) && DetailsKind(answer.status()) != kServiceAccounts.plural) {
    return absl::UnavailableError(absl::StrCat(
        "HTTP 404, but not by a Kubernetes API server; is a proxy in between, or is the path of the server "
        "URL wrong? ",
        std::string(answer.status().message())));
  }
  if (!answer.ok()) return answer.status();
  return ParseTokenRequestAnswer(*answer, lifetime);
}

absl::StatusOr<std::string> ReviewSelf(const Client& client, const SecretString& token) {
  HttpRequest request{.method = "POST",
                      .path = "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                      .content_type = "application/json"};
  request.body = SecretString(R"({"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"})");
  request.bearer = token;
  absl::StatusOr<HttpResponse> response = client.transport().Send(request);
  if (!response.ok()) return response.status();
  if (response->status >= 400) return StatusFromHttp(response->status, response->body.Reveal());
  absl::StatusOr<Json> review = ParseJson(response->body.Reveal());
  if (!review.ok()) return review.status();
  return StringAt(*review, {"status", "userInfo", "username"});
}

}  // namespace k8s
