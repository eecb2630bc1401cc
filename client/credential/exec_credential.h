#ifndef CLIENT_CREDENTIAL_EXEC_CREDENTIAL_H_
#define CLIENT_CREDENTIAL_EXEC_CREDENTIAL_H_

#include <absl/status/statusor.h>

#include "k8s/core/secret_string.h"

namespace credential {

// What an exec plugin prints for `token`: an ExecCredential of client.authentication.k8s.io/v1 as one line, with its
// newline at most 4,095 bytes: the C client has a buffer of 4,096 (kubernetes-client/c, config/exec_provider.c).
//
// Its expirationTimestamp is always set, or clients keep the token until it fails. It lies half a minute before the
// token's end (a tenth of its life if that is less), so that a call under way still arrives; not earlier, because the
// Python client runs the plugin for every call once five minutes are left. An ended token is printed all the same: the
// API server says better than a clock of ours that it is over.
//
// INVALID_ARGUMENT: no JWT with an end, or one too long for the line. The text holds no part of it.
absl::StatusOr<k8s::SecretString> BuildExecCredential(const k8s::SecretString& token);

}  // namespace credential

#endif  // CLIENT_CREDENTIAL_EXEC_CREDENTIAL_H_
