#ifndef K8S_CORE_BOUND_TOKEN_H_
#define K8S_CORE_BOUND_TOKEN_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <vector>

#include "k8s/core/json.h"
#include "k8s/core/secret_string.h"

namespace k8s {

// A ServiceAccount token and what its own claims say of it. The times are the issuing server's: only their difference
// may be trusted here, because its clock need not agree with ours.
struct BoundToken {
  SecretString token;
  absl::Time issued_at;
  absl::Time expires_at;
  absl::Duration lifetime;  // what to plan with; see ParseTokenRequestAnswer
  std::string token_id;     // "JTI=<uuid>" names it in the source's audit log; "" before Kubernetes 1.32
  std::string subject;      // "system:serviceaccount:<namespace>:<name>"
  std::string account_uid;
  std::vector<std::string> audiences;
};

// Reads the claims of a token without checking its signature: it came from its issuer over TLS, or from a Secret that
// only we write, and is only planned with. INVALID_ARGUMENT: no JWT, or one that never ends. The text holds no part of
// it.
absl::StatusOr<BoundToken> ParseBoundToken(const SecretString& token);

// Reads the answer to a TokenRequest for a life of `asked`. The lifetime is the least of what was asked, what the
// answer's status grants and what the claims say: a server may grant less than asked, and one that claims a century is
// not believed.
absl::StatusOr<BoundToken> ParseTokenRequestAnswer(const Json& answer, absl::Duration asked);

// "system:serviceaccount:ns:name", as the API server names the account's user.
std::string ServiceAccountUser(const std::string& namespace_name, const std::string& name);

}  // namespace k8s

#endif  // K8S_CORE_BOUND_TOKEN_H_
