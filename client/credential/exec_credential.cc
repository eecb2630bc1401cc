#include "client/credential/exec_credential.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "k8s/core/bound_token.h"
#include "k8s/core/json.h"

namespace credential {
namespace {

constexpr size_t kMaxLineBytes = 4095;
constexpr absl::Duration kMargin = absl::Seconds(30);

}  // namespace

absl::StatusOr<k8s::SecretString> BuildExecCredential(const k8s::SecretString& token) {
  absl::StatusOr<k8s::BoundToken> parsed = k8s::ParseBoundToken(token);
  if (!parsed.ok()) return parsed.status();
  const absl::Time expiration = parsed->expires_at - std::min(kMargin, parsed->lifetime / 10);
  const k8s::JsonObject credential{
      {"apiVersion", "client.authentication.k8s.io/v1"},
      {"kind", "ExecCredential"},
      {"status", k8s::JsonObject{{"expirationTimestamp", k8s::ToRfc3339(expiration)}, {"token", token.Reveal()}}}};
  k8s::SecretString line(boost::json::serialize(credential) + "\n");
  if (line.size() > kMaxLineBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the token has ", token.size(), " bytes, more than exec plugins may print; use the token file"));
  }
  return line;
}

}  // namespace credential
