#include "k8s/core/refresh_schedule.h"

#include <openssl/sha.h>

#include <algorithm>
#include <string>

namespace k8s {

absl::Duration RefreshAge(const BoundToken& token) {
  // Tokens before Kubernetes 1.32 have no id; the account and the instant of issue serve as well.
  const std::string id =
      token.token_id.empty() ? token.account_uid + absl::FormatTime(token.issued_at) : token.token_id;
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(id.data()), id.size(), digest);
  const double fraction = (digest[0] * 256 + digest[1]) / 65536.0;
  return token.lifetime * (0.5 + 0.1 * fraction);
}

absl::Duration TokenAge(const BoundToken& token, absl::Duration received_ago, absl::Time server_now) {
  const absl::Duration age = received_ago == absl::InfiniteDuration() ? server_now - token.issued_at : received_ago;
  return std::max(age, absl::ZeroDuration());
}

}  // namespace k8s
