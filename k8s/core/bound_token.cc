#include "k8s/core/bound_token.h"

#include <absl/status/status.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <string_view>

namespace k8s {
namespace {

// A real token has about 1 KB; claims with many audiences stay far below this.
constexpr size_t kMaxTokenBytes = 64 << 10;

absl::StatusOr<Json> ParseClaims(std::string_view token) {
  const size_t first = token.find('.');
  const size_t second = token.find('.', first + 1);
  if (token.size() > kMaxTokenBytes || first == std::string_view::npos || second == std::string_view::npos) {
    return absl::InvalidArgumentError("the token is no JWT");
  }
  const std::string_view claims = token.substr(first + 1, second - first - 1);
  std::string text;
  if (!absl::WebSafeBase64Unescape({claims.data(), claims.size()}, &text)) {
    return absl::InvalidArgumentError("the token's claims are not base64");
  }
  return ParseJson(text);
}

}  // namespace

absl::StatusOr<BoundToken> ParseBoundToken(const SecretString& token) {
  absl::StatusOr<Json> claims = ParseClaims(token.Reveal());
  if (!claims.ok()) return claims.status();
  const int64_t issued = IntAt(*claims, {"iat"});
  const int64_t expires = IntAt(*claims, {"exp"});
  if (issued <= 0 || expires <= issued)
    return absl::InvalidArgumentError("the token's claims have no iat before an exp");

  BoundToken parsed;
  parsed.token = token;
  parsed.issued_at = absl::FromUnixSeconds(issued);
  parsed.expires_at = absl::FromUnixSeconds(expires);
  parsed.lifetime = parsed.expires_at - parsed.issued_at;
  const std::string jti = StringAt(*claims, {"jti"});
  if (!jti.empty()) parsed.token_id = absl::StrCat("JTI=", jti);
  parsed.subject = StringAt(*claims, {"sub"});
  parsed.account_uid = StringAt(*claims, {"kubernetes.io", "serviceaccount", "uid"});
  parsed.audiences = StringsAt(*claims, {"aud"});
  return parsed;
}

absl::StatusOr<BoundToken> ParseTokenRequestAnswer(const Json& answer, absl::Duration asked) {
  absl::StatusOr<BoundToken> token = ParseBoundToken(SecretString(StringAt(answer, {"status", "token"})));
  if (!token.ok()) return token.status();
  token->lifetime = std::min(token->lifetime, asked);
  const absl::Time granted_until = TimeAt(answer, {"status", "expirationTimestamp"});
  if (granted_until > token->issued_at) token->lifetime = std::min(token->lifetime, granted_until - token->issued_at);
  token->expires_at = token->issued_at + token->lifetime;
  return token;
}

std::string ServiceAccountUser(const std::string& namespace_name, const std::string& name) {
  return absl::StrCat("system:serviceaccount:", namespace_name, ":", name);
}

}  // namespace k8s
